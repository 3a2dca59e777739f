//! Words and options of one command line.

use std::collections::VecDeque;
use std::ffi::OsString;

use crate::error::{Error, Result};

/// What is left of the command line.
#[derive(Debug)]
pub(super) struct Arguments(VecDeque<String>);

impl Arguments {
    /// Takes over the words, which must be UTF-8.
    pub(super) fn parse(words: Vec<OsString>) -> Result<Self> {
        let words = words.into_iter().map(|word| {
            word.into_string()
                .map_err(|word| Error::Invalid(format!("invalid argument {}", word.display())))
        });
        Ok(Self(words.collect::<Result<_>>()?))
    }

    /// Where options end: at `--`.
    fn options(&self) -> usize {
        self.0
            .iter()
            .position(|word| word == "--")
            .unwrap_or(self.0.len())
    }

    /// Takes `--name VALUE` or `--name=VALUE`.
    pub(super) fn take_value(&mut self, name: &str) -> Result<Option<String>> {
        for at in 0..self.options() {
            if let Some(value) = self.0[at]
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('='))
            {
                let value = value.to_owned();
                self.0.remove(at);
                return Ok(Some(value));
            }
            if self.0[at] == name {
                self.0.remove(at);
                let value = self.0.remove(at);
                return value
                    .map(Some)
                    .ok_or_else(|| Error::Invalid(format!("{name} needs a value")));
            }
        }
        Ok(None)
    }

    /// Takes `--name`.
    pub(super) fn take_flag(&mut self, name: &str) -> bool {
        let found = self
            .0
            .iter()
            .take(self.options())
            .position(|word| word == name);
        found.and_then(|at| self.0.remove(at)).is_some()
    }

    /// Takes the first word.
    pub(super) fn take_word(&mut self) -> Option<String> {
        if self.0.front().is_some_and(|word| word == "--") {
            self.0.pop_front();
        }
        self.0.pop_front()
    }

    /// The container's id, validated, since it names a directory.
    pub(super) fn take_id(&mut self) -> Result<String> {
        let id = self
            .take_word()
            .ok_or_else(|| Error::Invalid("no container id".to_owned()))?;
        let valid = id.len() <= 255
            && id.starts_with(|first: char| first.is_ascii_alphanumeric())
            && id
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "_.-+".contains(letter));
        if valid {
            Ok(id)
        } else {
            Err(Error::Invalid(format!("invalid container id {id:?}")))
        }
    }

    /// All words that are left.
    pub(super) fn rest(&mut self) -> Vec<String> {
        if self.0.front().is_some_and(|word| word == "--") {
            self.0.pop_front();
        }
        self.0.drain(..).collect()
    }

    /// Refuses what nobody took.
    pub(super) fn finish(&self) -> Result<()> {
        match self.0.front() {
            None => Ok(()),
            Some(word) => Err(Error::Invalid(format!("unexpected argument {word:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        Arguments::parse(words.iter().map(OsString::from).collect()).unwrap()
    }

    #[test]
    fn options_and_words() {
        let mut words = arguments(&[
            "--root",
            "/r",
            "create",
            "--bundle=/b",
            "id",
            "--",
            "--pid-file",
        ]);
        assert_eq!(words.take_value("--root").unwrap().as_deref(), Some("/r"));
        assert_eq!(words.take_word().as_deref(), Some("create"));
        assert_eq!(words.take_value("--bundle").unwrap().as_deref(), Some("/b"));
        assert_eq!(words.take_value("--pid-file").unwrap(), None);
        assert_eq!(words.take_id().unwrap(), "id");
        assert_eq!(words.rest(), ["--pid-file"]);
    }

    #[test]
    fn ids_name_directories() {
        for id in ["", "..", "a/b", ".a", "a\0"] {
            assert!(arguments(&[id]).take_id().is_err(), "{id:?}");
        }
    }
}
