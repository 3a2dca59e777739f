//! Random identifiers.

/// A random identifier: 64 lower-case hex digits.
///
/// At least one of its first twelve digits is a letter, so that the short form of it is never mistaken for a number.
pub fn random_hex() -> String {
    loop {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).expect("the kernel has had its entropy since boot");
        let hex = hex(&bytes);
        if hex.as_bytes()[..12].iter().any(u8::is_ascii_alphabetic) {
            return hex;
        }
    }
}

/// A random number below `bound`, for picking one of a few.
pub fn random_below(bound: usize) -> usize {
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).expect("the kernel has had its entropy since boot");
    usize::from_ne_bytes(bytes) % bound.max(1)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| {
            [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]
        })
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_64_hex_digits_and_not_a_number() {
        let id = random_hex();
        assert_eq!(id.len(), 64);
        assert!(
            id.bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        );
        assert_ne!(id, random_hex());
    }

    #[test]
    fn hex_is_two_lower_case_digits_a_byte() {
        assert_eq!(hex(&[0, 0xab, 0xff]), "00abff");
    }
}
