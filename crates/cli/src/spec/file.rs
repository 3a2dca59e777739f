//! Environment and labels, also from files.

use std::collections::BTreeMap;

use crate::env::Env;
use crate::flags::Given;
use crate::report::{Failure, io_failure};

/// The environment that `--env-file` and `--env` ask for, in this order; a bare name takes the caller's value.
pub(crate) fn environment(env: &Env, given: &Given) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for path in given.list("env-file") {
        for line in lines(env, &path)? {
            match assignment(&line)? {
                (_, true) => all.push(line),
                (name, false) => all.extend(
                    env.variables
                        .get(name)
                        .map(|value| format!("{name}={value}")),
                ),
            }
        }
    }
    for entry in given.list("env") {
        match env.variables.get(&entry) {
            Some(value) if !entry.contains('=') => all.push(format!("{entry}={value}")),
            _ => all.push(entry),
        }
    }
    Ok(all)
}

/// The labels that `--label-file` and `--label` ask for.
pub(crate) fn labels(env: &Env, given: &Given) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = Vec::new();
    for path in given.list("label-file") {
        for line in lines(env, &path)? {
            assignment(&line)?;
            all.push(line);
        }
    }
    all.extend(given.list("label"));
    Ok(super::pairs(&all))
}

/// The lines that say something.
fn lines(env: &Env, path: &str) -> Result<Vec<String>, Failure> {
    let bytes =
        std::fs::read(env.absolute(path)).map_err(|error| io_failure("open", path, &error))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(format!("invalid env file ({path}): invalid utf8 bytes")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(|line| line.trim_start().to_owned());
    Ok(lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect())
}

/// The variable's name, and whether a value follows.
fn assignment(line: &str) -> Result<(&str, bool), Failure> {
    let (name, has_value) = line
        .split_once('=')
        .map_or((line, false), |(name, _)| (name, true));
    if name.contains(char::is_whitespace) {
        return Err(Failure::new(format!(
            "poorly formatted environment: variable '{name}' contains whitespaces"
        )));
    }
    if name.is_empty() {
        return Err(Failure::new(format!(
            "poorly formatted environment: no variable name on line '{line}'"
        )));
    }
    Ok((name, has_value))
}
