//! The few instructions of a Dockerfile that change a configuration.

use oci::Healthcheck;

use super::ImageConfigChanges;
use crate::Error;

/// Reads one instruction into the changes.
pub(super) fn instruction(changes: &mut ImageConfigChanges, text: &str) -> Result<(), Error> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let name = word.to_ascii_uppercase();
    let one = || match rest {
        "" => Err(Error::Change(format!(
            "{name} requires exactly one argument"
        ))),
        _ => Ok(unquote(rest)),
    };
    match name.as_str() {
        "CMD" => changes.cmd = Some(command(rest)),
        "ENTRYPOINT" => changes.entrypoint = Some(command(rest)),
        "ENV" => changes.env.extend(pairs(&name, rest)?),
        "LABEL" => changes.labels.extend(pairs(&name, rest)?),
        "EXPOSE" => {
            for port in rest.split_whitespace() {
                changes.expose.push(self::port(port)?);
            }
        }
        "USER" => changes.user = Some(one()?),
        "WORKDIR" => changes.working_dir = Some(absolute(&one()?)),
        "STOPSIGNAL" => changes.stop_signal = Some(one()?),
        "VOLUME" => match json(rest) {
            Some(paths) => changes.volumes.extend(paths),
            None => changes.volumes.extend(rest.split_whitespace().map(unquote)),
        },
        "ONBUILD" => changes.on_build.push(one().map(|_| rest.to_owned())?),
        "HEALTHCHECK" => changes.healthcheck = Some(healthcheck(rest)?),
        _ => {
            return Err(Error::Change(format!(
                "{} is not a valid change command",
                name.to_lowercase()
            )));
        }
    }
    Ok(())
}

/// The list form, or the text for a shell.
fn command(text: &str) -> Vec<String> {
    match json(text) {
        Some(words) => words,
        None if text.is_empty() => Vec::new(),
        None => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()],
    }
}

fn json(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

/// `key=value …`, or `key value` with one value up to the end.
fn pairs(name: &str, text: &str) -> Result<Vec<(String, String)>, Error> {
    let words = words(text);
    let Some(first) = words.first() else {
        return Err(Error::Change(format!(
            "{name} requires at least one argument"
        )));
    };
    if !first.contains('=') {
        return match text.split_once(char::is_whitespace) {
            Some((key, value)) => Ok(vec![(unquote(key), value.trim().to_owned())]),
            None => Err(Error::Change(format!("{name} must have two arguments"))),
        };
    }
    let pair = |word: &String| match word.split_once('=') {
        Some(("", _)) => Err(Error::Change(format!("{name} names can not be blank"))),
        Some((key, value)) => Ok((unquote(key), unquote(value))),
        None => Err(Error::Change(format!(
            "Syntax error - can't find = in {word:?}. Must be of the form: name=value"
        ))),
    };
    words.iter().map(pair).collect()
}

/// Splits at blanks outside of quotes; quotes and backslashes stay.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if quote != Some('\'') => {
                word.push(character);
                word.extend(characters.next());
                continue;
            }
            '"' | '\'' if quote.is_none() => quote = Some(character),
            _ if quote == Some(character) => quote = None,
            _ if character.is_whitespace() && quote.is_none() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ => {}
        }
        word.push(character);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Takes quotes and backslashes away.
fn unquote(text: &str) -> String {
    let mut plain = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if quote != Some('\'') => plain.extend(characters.next()),
            '"' | '\'' if quote.is_none() => quote = Some(character),
            _ if quote == Some(character) => quote = None,
            _ => plain.push(character),
        }
    }
    plain
}

/// A port or a range of ports with its protocol.
fn port(text: &str) -> Result<String, Error> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let protocol = protocol.to_ascii_lowercase();
    match (number(first), number(last)) {
        (Some(first), Some(last))
            if first <= last && matches!(protocol.as_str(), "tcp" | "udp" | "sctp") =>
        {
            Ok(format!("{range}/{protocol}"))
        }
        _ => Err(Error::Change(format!("invalid containerPort: {text}"))),
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

fn healthcheck(text: &str) -> Result<Healthcheck, Error> {
    let mut check = Healthcheck::default();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        rest = after.trim_start();
        let (key, value) = flag.split_once('=').unwrap_or((flag, ""));
        let wrong = || Error::Change(format!("invalid value {value:?} of --{key}"));
        let time = || {
            let duration = stdx::time::parse_go_duration(value).ok_or_else(wrong)?;
            i64::try_from(duration.as_nanos()).map_err(|_| wrong())
        };
        match key {
            "interval" => check.interval = time()?,
            "timeout" => check.timeout = time()?,
            "start-period" => check.start_period = time()?,
            "start-interval" => check.start_interval = time()?,
            "retries" => check.retries = value.parse().map_err(|_| wrong())?,
            _ => return Err(Error::Change(format!("Unknown flag: {key}"))),
        }
    }
    let (kind, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    check.test = match kind.to_ascii_uppercase().as_str() {
        "NONE" if argument.is_empty() => vec!["NONE".to_owned()],
        "NONE" => {
            return Err(Error::Change(
                "HEALTHCHECK NONE takes no arguments".to_owned(),
            ));
        }
        "CMD" if argument.trim().is_empty() => {
            return Err(Error::Change(
                "Missing command after HEALTHCHECK CMD".to_owned(),
            ));
        }
        "CMD" => match json(argument) {
            Some(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            None => vec!["CMD-SHELL".to_owned(), argument.trim().to_owned()],
        },
        _ => {
            return Err(Error::Change(format!(
                "Unknown type {kind:?} in HEALTHCHECK (try CMD)"
            )));
        }
    };
    Ok(check)
}
