//! What surrounds the process, as one value: only the binary's `main.rs` reads it from the system.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Environment, working directory and the facts about the terminal.
#[derive(Clone, Debug, Default)]
pub struct Env {
    /// The environment variables.
    pub variables: BTreeMap<String, String>,
    /// The working directory.
    pub directory: PathBuf,
    /// Standard input is a terminal.
    pub stdin_is_terminal: bool,
    /// Standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// The width of the terminal at standard input.
    pub columns: Option<u16>,
    /// The effective user is root.
    pub is_root: bool,
}

impl Env {
    /// An environment variable; an empty one counts as not set, as in docker.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Makes a path absolute against the working directory.
    pub fn absolute(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }
}
