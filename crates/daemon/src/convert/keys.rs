//! Detach keys: `ctrl-p,ctrl-q`, single characters, in any mixture.

use super::invalid;
use crate::error::Result;

/// Keys as bytes; empty: the default's.
pub fn parse(text: &str) -> Result<Option<Vec<u8>>> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.split(',').map(key).collect() {
        Some(keys) => Ok(Some(keys)),
        None => invalid(format!("Invalid detach keys ({text}) provided")),
    }
}

fn key(word: &str) -> Option<u8> {
    if let &[byte] = word.as_bytes() {
        return Some(byte);
    }
    match word.strip_prefix("ctrl-")?.as_bytes() {
        &[letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        b"@" => Some(0),
        b"[" => Some(27),
        b"\\" => Some(28),
        b"]" => Some(29),
        b"^" => Some(30),
        b"_" => Some(31),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn keys_are_read_as_docker_reads_them() {
        assert_eq!(parse("").unwrap(), None);
        assert_eq!(parse("ctrl-p,ctrl-q").unwrap(), Some(vec![16, 17]));
        assert_eq!(parse("a,ctrl-@,ctrl-[").unwrap(), Some(vec![b'a', 0, 27]));
        assert_eq!(
            parse("ctrl-A").unwrap_err().to_string(),
            "Invalid detach keys (ctrl-A) provided"
        );
        assert!(parse("ab").is_err() && parse("a,").is_err());
    }
}
