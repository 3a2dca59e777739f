//! Flags as Go's pflag parses them, against the table of the command.

use crate::surface::{Command, Flag};
use crate::values;

/// What was given on the command line: flags in their order, and the arguments.
#[derive(Debug, Default)]
pub(crate) struct Given {
    flags: Vec<(&'static str, String)>,
    /// The arguments after or between the flags.
    pub(crate) args: Vec<String>,
}

/// Why parsing stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// `--help`, or `-h` where the command has no such flag (`short`).
    Help { short: bool },
    /// Wrong use, in pflag's words.
    Wrong(String),
}

impl Given {
    /// Whether a flag was given, whatever its value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(key, _)| *key == name)
    }

    /// The last value of a flag.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.flags
            .iter()
            .rev()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The last value of a flag, or nothing.
    pub(crate) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    /// Whether a switch is on.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| values::boolean(value) == Some(true))
    }

    /// A number that has passed validation.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        values::integer(self.get(name)?)
    }

    /// A size that has passed validation.
    pub(crate) fn bytes(&self, name: &str) -> Option<i64> {
        let value = self.get(name)?;
        if value == "-1" {
            Some(-1)
        } else {
            stdx::size::parse_ram(value)
        }
    }

    /// All values of a flag.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.flags
            .iter()
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// The names of all flags that were given.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.flags.iter().map(|(name, _)| *name)
    }
}

/// Parses the words after a command.
pub(crate) fn parse(command: &Command, words: &[String]) -> Result<Given, Stop> {
    let mut given = Given::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            if long.is_empty() {
                break;
            }
            parse_long(command, long, &mut words, &mut given)?;
        } else if word.len() > 1 && word.starts_with('-') {
            parse_short(command, &word[1..], &mut words, &mut given)?;
        } else {
            given.args.push(word.clone());
            if command.stops {
                break;
            }
        }
    }
    given.args.extend(words.cloned());
    Ok(given)
}

type Words<'a> = std::slice::Iter<'a, String>;

fn parse_long(
    command: &Command,
    word: &str,
    words: &mut Words<'_>,
    given: &mut Given,
) -> Result<(), Stop> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    };
    if name.is_empty() || name.starts_with('-') {
        return Err(Stop::Wrong(format!("bad flag syntax: --{word}")));
    }
    if name == "help" {
        return Err(Stop::Help { short: false });
    }
    let Some(flag) = command.flags().find(|flag| flag.name == name) else {
        return Err(Stop::Wrong(format!("unknown flag: --{name}")));
    };
    let value = match value {
        Some(value) => value,
        None if flag.kind == "bool" => "true",
        None => words
            .next()
            .ok_or_else(|| Stop::Wrong(format!("flag needs an argument: --{name}")))?,
    };
    given.set(command, flag, value)
}

fn parse_short(
    command: &Command,
    letters: &str,
    words: &mut Words<'_>,
    given: &mut Given,
) -> Result<(), Stop> {
    let mut rest = letters;
    while let Some(letter) = rest.chars().next() {
        let here = rest;
        rest = &rest[letter.len_utf8()..];
        let Some(flag) = command.flags().find(|flag| flag.short == Some(letter)) else {
            return Err(if letter == 'h' {
                Stop::Help { short: true }
            } else {
                Stop::Wrong(format!("unknown shorthand flag: '{letter}' in -{here}"))
            });
        };
        if here.len() > 2 && rest.starts_with('=') {
            return given.set(command, flag, &rest[1..]);
        }
        if flag.kind == "bool" {
            given.set(command, flag, "true")?;
        } else if rest.is_empty() {
            let value = words.next().ok_or_else(|| {
                Stop::Wrong(format!("flag needs an argument: '{letter}' in -{here}"))
            })?;
            return given.set(command, flag, value);
        } else {
            return given.set(command, flag, rest);
        }
    }
    Ok(())
}

impl Given {
    fn set(&mut self, command: &Command, flag: &Flag, value: &str) -> Result<(), Stop> {
        let check = values::check(&command.path, flag, value);
        check.map_err(|reason| {
            Stop::Wrong(format!(
                "invalid argument {value:?} for {:?} flag: {reason}",
                flag.label()
            ))
        })?;
        self.flags.push((synonym(flag.name), value.to_owned()));
        Ok(())
    }
}

/// The name under which commands look for a flag that has two.
fn synonym(name: &'static str) -> &'static str {
    match name {
        "net" => "network",
        "net-alias" => "network-alias",
        "dns-opt" => "dns-option",
        "time" => "timeout",
        other => other,
    }
}
