//! Error documents (specification: Error Codes), and their words as Docker prints them.

use std::fmt;

use serde::Deserialize;

/// Errors of one document that are kept.
const MAX_ERRORS: usize = 8;
/// Bytes of a message that are kept.
const MAX_MESSAGE: usize = 1024;

/// What a registry says went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(pub Vec<Item>);

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its class.
    pub code: Code,
    /// For people.
    pub message: String,
}

/// The code of an error: upper case with underscores, on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub String);

impl Code {
    /// The requested access is denied.
    pub const DENIED: &str = "DENIED";
    /// No such manifest.
    pub const MANIFEST_UNKNOWN: &str = "MANIFEST_UNKNOWN";
    /// No such repository.
    pub const NAME_UNKNOWN: &str = "NAME_UNKNOWN";
    /// No such blob.
    pub const BLOB_UNKNOWN: &str = "BLOB_UNKNOWN";
    /// Credentials are missing or wrong.
    pub const UNAUTHORIZED: &str = "UNAUTHORIZED";
    /// Too many requests.
    pub const TOOMANYREQUESTS: &str = "TOOMANYREQUESTS";
    /// Not offered.
    pub const UNSUPPORTED: &str = "UNSUPPORTED";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_lowercase().replace('_', " "))
    }
}

impl Errors {
    /// One error.
    pub fn one(code: &str, message: &str) -> Self {
        Self(vec![Item {
            code: Code(code.to_owned()),
            message: message.to_owned(),
        }])
    }

    /// Whether one of them has this code.
    pub fn has(&self, code: &str) -> bool {
        self.0.iter().any(|error| error.code.0 == code)
    }

    /// Reads a document: `{"errors": [...]}`, or the `{"details": ...}` of token servers.
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let document: Document = serde_json::from_slice(body)?;
        let errors = document.errors.into_iter().take(MAX_ERRORS);
        Ok(Self(
            errors
                .map(|error| Item {
                    message: clean(if error.message.is_empty() {
                        &error.code
                    } else {
                        &error.message
                    }),
                    code: Code(clean(&error.code)),
                })
                .chain(document.details.iter().map(|details| Item {
                    code: Code(Code::UNAUTHORIZED.to_owned()),
                    message: clean(details),
                }))
                .collect(),
        ))
    }
}

/// Bounded, and without what could move a terminal's cursor.
fn clean(text: &str) -> String {
    let mut cleaned = String::new();
    for c in text.chars() {
        if cleaned.len() >= MAX_MESSAGE {
            break;
        }
        cleaned.push(if c.is_control() && c != '\n' { ' ' } else { c });
    }
    cleaned
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("<nil>"),
            [one] => one.fmt(f),
            several => {
                f.write_str("errors:\n")?;
                several.iter().try_for_each(|error| writeln!(f, "{error}"))
            }
        }
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    errors: Vec<Entry>,
    #[serde(default)]
    details: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_docker_prints_them() {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#;
        assert_eq!(
            Errors::parse(body).unwrap().to_string(),
            "manifest unknown: manifest unknown"
        );
        let two = br#"{"errors":[{"code":"DENIED","message":"no"},{"code":"UNAUTHORIZED"}]}"#;
        assert_eq!(
            Errors::parse(two).unwrap().to_string(),
            "errors:\ndenied: no\nunauthorized: UNAUTHORIZED\n"
        );
        assert_eq!(
            Errors::parse(br#"{"details":"incorrect username or password"}"#)
                .unwrap()
                .to_string(),
            "unauthorized: incorrect username or password"
        );
        assert!(Errors::parse(b"<html>").is_err());
    }

    #[test]
    fn a_message_cannot_move_the_cursor_or_fill_the_screen() {
        let text = format!(
            r#"{{"errors":[{{"code":"X","message":"\u001b[2J{}"}}]}}"#,
            "a".repeat(100_000)
        );
        let shown = Errors::parse(text.as_bytes()).unwrap().to_string();
        assert!(!shown.contains('\u{1b}') && shown.len() < 1100);
    }
}
