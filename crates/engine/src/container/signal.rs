//! Signals by Docker's names and numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A signal that exists, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signal(i32);

/// The first real-time signal that programs may use, as glibc counts.
const RTMIN: i32 = 34;
/// The last one.
const RTMAX: i32 = 64;

/// Linux's numbers on x86_64 and aarch64.
const NAMES: [(&str, i32); 36] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("RTMIN", RTMIN),
    ("RTMAX", RTMAX),
];

impl Signal {
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// SIGTERM.
    pub const TERM: Self = Self(15);

    /// Its number.
    pub fn number(self) -> i32 {
        self.0
    }
}

/// Not a signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid signal: {0}")]
pub struct InvalidSignal(pub String);

impl FromStr for Signal {
    type Err = InvalidSignal;

    fn from_str(text: &str) -> Result<Self, InvalidSignal> {
        let invalid = || InvalidSignal(text.to_owned());
        if let Ok(number) = text.parse::<i32>() {
            return if (1..=RTMAX).contains(&number) {
                Ok(Self(number))
            } else {
                Err(invalid())
            };
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(Self(*number));
        }
        let offset = |rest: &str| {
            rest.parse::<i32>()
                .ok()
                .filter(|offset| (1..=30).contains(offset))
        };
        let number = match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
            (Some(rest), _) => offset(rest).map(|by| RTMIN + by),
            (_, Some(rest)) => offset(rest).map(|by| RTMAX - by),
            _ => None,
        };
        number
            .filter(|number| (RTMIN..=RTMAX).contains(number))
            .map(Self)
            .ok_or_else(invalid)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_understood() {
        for (text, number) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("KILL", 9),
            ("64", 64),
        ] {
            assert_eq!(
                text.parse::<Signal>().map(Signal::number),
                Ok(number),
                "{text}"
            );
        }
        for text in ["0", "65", "-1", "FOO", "", "RTMIN+31", "SIG"] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
    }

    #[test]
    fn is_printed_by_name() {
        assert_eq!(Signal::TERM.to_string(), "SIGTERM");
    }
}
