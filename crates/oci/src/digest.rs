//! Digests: the names of content, and the only thing that is ever joined to the path of a blob.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Error;

/// Length of a SHA-256 in hexadecimal.
const HEX_LENGTH: usize = 64;

/// `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Box<str>);

impl Digest {
    /// Prefix of the one algorithm that is understood.
    pub const PREFIX: &str = "sha256:";

    /// The digest with these 32 bytes.
    pub fn from_sha256(bytes: [u8; 32]) -> Self {
        use fmt::Write as _;
        let mut text = String::with_capacity(Self::PREFIX.len() + HEX_LENGTH);
        text.push_str(Self::PREFIX);
        for byte in bytes {
            write!(text, "{byte:02x}").expect("writing to a string does not fail");
        }
        Self(text.into())
    }

    /// The digest with these 64 hexadecimal digits.
    pub fn from_hex(hex: &str) -> Result<Self, Error> {
        format!("{}{hex}", Self::PREFIX).parse()
    }

    /// The hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.0[Self::PREFIX.len()..]
    }

    /// The first twelve digits, as tables show them.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text is a full identifier: 64 lower-case hexadecimal digits.
pub fn is_identifier(text: &str) -> bool {
    text.len() == HEX_LENGTH && text.bytes().all(is_lower_hex)
}

pub(crate) fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((algorithm, hex)) = text.split_once(':') else {
            return Err(Error::DigestFormat);
        };
        match algorithm {
            "sha256" if hex.len() != HEX_LENGTH => Err(Error::DigestLength),
            "sha256" if hex.bytes().all(is_lower_hex) => Ok(Self(text.into())),
            "sha256" | "" => Err(Error::DigestFormat),
            _ => Err(Error::DigestAlgorithm),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_sha256_is_a_digest() {
        let hex = "0123456789abcdef".repeat(4);
        let digest: Digest = format!("sha256:{hex}").parse().unwrap();
        assert_eq!(
            (digest.hex(), digest.short()),
            (hex.as_str(), "0123456789ab")
        );
        assert_eq!(Digest::from_hex(&hex).unwrap(), digest);
        for (text, error) in [
            (String::new(), "invalid checksum digest format"),
            (hex.clone(), "invalid checksum digest format"),
            (
                format!("sha256:{}", hex.to_uppercase()),
                "invalid checksum digest format",
            ),
            (
                "sha256:../../x".to_owned(),
                "invalid checksum digest length",
            ),
            (
                format!("sha256:{}/", &hex[..63]),
                "invalid checksum digest format",
            ),
            (format!("sha512:{hex}"), "unsupported digest algorithm"),
            (
                format!("md5:{}", &hex[..32]),
                "unsupported digest algorithm",
            ),
        ] {
            assert_eq!(
                text.parse::<Digest>().unwrap_err().to_string(),
                error,
                "{text}"
            );
        }
    }

    #[test]
    fn bytes_become_digits() {
        assert_eq!(Digest::from_sha256([0xab; 32]).hex(), "ab".repeat(32));
    }
}
