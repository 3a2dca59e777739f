//! One table of commands, run three ways: docker to dockerd (recorded), docker to Corten, Corten to Corten.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::command::Output;
use crate::filters::normalise;

/// A command of the table and what it answered, filtered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The command as it stands in the table.
    pub command: String,
    /// The exit code.
    pub code: i32,
    /// Filtered standard output.
    pub stdout: String,
    /// Filtered standard error.
    pub stderr: String,
}

impl Row {
    /// A command and its answer, filtered.
    pub fn new(command: &str, output: &Output) -> Self {
        Self {
            command: command.to_owned(),
            code: output.code,
            stdout: normalise(&output.stdout),
            stderr: normalise(&output.stderr),
        }
    }
}

/// A group of commands that build on one another, on a daemon with nothing but busybox.
#[derive(Debug)]
pub struct Group {
    /// Its name, also of the file of recorded answers.
    pub name: String,
    /// Its commands, in order.
    pub commands: Vec<String>,
}

/// Reads the table: `[group]` lines, command lines, `#` comments.
pub fn parse(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            groups.push(Group {
                name: name.to_owned(),
                commands: Vec::new(),
            });
        } else if let Some(group) = groups.last_mut() {
            group.commands.push(line.to_owned());
        }
    }
    groups
}

/// Splits a command at spaces outside quotes; a quote ends at the same sign.
pub fn split(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut inside) = (None, false);
    for c in command.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => word.push(c),
            (None, '\'' | '"') => (quote, inside) = (Some(c), true),
            (None, ' ') => {
                if inside || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                inside = false;
            }
            (None, _) => word.push(c),
        }
    }
    if inside || !word.is_empty() {
        words.push(word);
    }
    words
}

/// Runs a group with whatever runs one command.
pub fn replay(group: &Group, mut run: impl FnMut(&[String]) -> Output) -> Vec<Row> {
    group
        .commands
        .iter()
        .map(|command| Row::new(command, &run(&split(command))))
        .collect()
}

/// Reads recorded answers.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))
}

/// Writes recorded answers, readable in a review.
pub fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let mut text = serde_json::to_string_pretty(rows)?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{parse, split};

    #[test]
    fn commands_are_split_at_spaces_outside_quotes() {
        assert_eq!(
            split("run --rm busybox sh -c 'echo \"a b\"'"),
            ["run", "--rm", "busybox", "sh", "-c", "echo \"a b\""]
        );
        assert_eq!(split("ps --filter ''"), ["ps", "--filter", ""]);
    }

    #[test]
    fn the_table_has_groups() {
        let groups = parse("# why\n[run]\nrun busybox\n\n[ps]\nps\nps -a\n");
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[1].commands, ["ps", "ps -a"]);
    }
}
