//! The keys by which an attached user leaves a terminal without ending what runs in it.

/// Recognises a sequence of bytes in a stream of input.
#[derive(Debug)]
pub(crate) struct Detach {
    keys: Vec<u8>,
    /// How many of the keys have been seen in a row; held back until it is clear what they are.
    matched: usize,
}

impl Detach {
    /// `None` for no keys: nothing detaches.
    pub(crate) fn new(keys: &[u8]) -> Option<Self> {
        (!keys.is_empty()).then(|| Self {
            keys: keys.to_vec(),
            matched: 0,
        })
    }

    /// Takes input, appends what is for the terminal, says whether the sequence is complete. What follows it is lost.
    pub(crate) fn feed(&mut self, input: &[u8], passed: &mut Vec<u8>) -> bool {
        for &byte in input {
            if byte != self.keys[self.matched] {
                passed.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if byte != self.keys[self.matched] {
                passed.push(byte);
                continue;
            }
            self.matched += 1;
            if self.matched == self.keys.len() {
                self.matched = 0;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[u8], inputs: &[&[u8]], passed: &[u8], detached: bool) {
        let mut detach = Detach::new(keys).expect("keys");
        let mut out = Vec::new();
        let found = inputs.iter().any(|input| detach.feed(input, &mut out));
        assert_eq!((out.as_slice(), found), (passed, detached));
    }

    #[test]
    fn keys_are_recognised_across_reads() {
        let keys = b"\x10\x11";
        check(keys, &[b"abc"], b"abc", false);
        check(keys, &[b"a\x10\x11b"], b"a", true);
        check(keys, &[b"a\x10", b"\x11"], b"a", true);
        check(keys, &[b"\x10", b"x"], b"\x10x", false);
        check(keys, &[b"\x10\x10", b"\x11"], b"\x10", true);
        check(keys, &[b"\x10"], b"", false);
        check(b"q", &[b"aq"], b"a", true);
        assert!(Detach::new(b"").is_none());
    }
}
