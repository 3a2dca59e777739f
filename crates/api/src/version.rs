//! API versions: `major.minor`, compared as numbers.

use std::fmt;
use std::str::FromStr;

/// A version of the Engine API, such as 1.51.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// Always 1 so far.
    pub major: u32,
    /// What changes.
    pub minor: u32,
}

/// The oldest version that is served.
pub const MINIMUM: ApiVersion = ApiVersion::new(1, 40);
/// The newest version that is served.
pub const MAXIMUM: ApiVersion = ApiVersion::new(1, 51);

impl ApiVersion {
    /// `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Whether this is version 1.`minor` or newer.
    pub const fn at_least(self, minor: u32) -> bool {
        self.major > 1 || (self.major == 1 && self.minor >= minor)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The text is no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadVersion;

impl FromStr for ApiVersion {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            if digits {
                part.parse().map_err(|_| BadVersion)
            } else {
                Err(BadVersion)
            }
        };
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let parse = |text: &str| text.parse::<ApiVersion>();
        assert!(parse("1.9").expect("valid") < MINIMUM);
        assert_eq!(parse("1.51"), Ok(MAXIMUM));
        assert_eq!(parse("2"), Ok(ApiVersion::new(2, 0)));
        for bad in ["", "1.", ".4", "1.4.5", "a.b", "+1.4"] {
            assert_eq!(parse(bad), Err(BadVersion), "{bad}");
        }
    }
}
