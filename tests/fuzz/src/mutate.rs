//! Mutations, the same for the same seed.

/// Numbers that break things.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "255",
    "256",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    "0.5",
];

/// A generator of numbers (xorshift64*): no secret depends on it.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("usize is no larger than u64");
        usize::try_from((self.next() >> 16) % end).expect("it is below a usize")
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}

/// A new input from one or two of the pool.
pub(crate) fn mutate(random: &mut Random, pool: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut input = random.pick(pool).clone();
    let count = 1 << random.below(4);
    for _ in 0..count {
        let at = random.below(input.len() + 1);
        let most = 1 << random.below(9);
        let end = (at + 1 + random.below(most)).min(input.len());
        match random.below(12) {
            0 | 1 if at < input.len() => input[at] ^= 1 << random.below(8),
            2 if at < input.len() => input[at] = random.byte(),
            3 if at < end => drop(input.drain(at..end)),
            4 if at < end => {
                let copy = input[at..end].to_vec();
                let to = random.below(input.len() + 1);
                drop(input.splice(to..to, copy));
            }
            5 => {
                let other = random.pick(pool);
                let from = random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            6 => input.truncate(at),
            7 => {
                let number = random.pick(NUMBERS).bytes();
                let digits = input[at..].iter().take_while(|byte| byte.is_ascii_digit());
                let digits = digits.count();
                drop(input.splice(at..at + digits, number));
            }
            8 => input.insert(at, random.byte()),
            9 if at < end => {
                let byte = random.byte();
                input[at..end].fill(byte);
            }
            _ if !words.is_empty() => {
                let word = random.pick(words).bytes();
                let end = if random.below(2) == 0 {
                    at
                } else {
                    end.max(at)
                };
                drop(input.splice(at..end, word));
            }
            _ => {}
        }
    }
    input
}
