//! A contestant's machine: namespaces of its own with a worker inside, spoken to over pipes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::worker::{Answer, Request};

const PLAIN: &str = include_str!("plain.sh");
const CHROOTED: &str = include_str!("chrooted.sh");

/// A running worker, the first process of its process namespace: all others in it, and its mounts, end with it.
#[derive(Debug)]
pub(crate) struct Machine {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Machine {
    /// The host's own files in a network namespace of its own.
    pub(crate) fn plain() -> Result<Self> {
        Self::start(PLAIN, &[])
    }

    /// The tree of clients as root directory. `private` keeps the data of this machine alone, `shared` is visible to
    /// both sides under its own name.
    pub(crate) fn chrooted(tree: &Path, private: &Path, shared: &Path) -> Result<Self> {
        std::fs::create_dir_all(private)?;
        Self::start(CHROOTED, &[tree, private, shared])
    }

    fn start(script: &str, arguments: &[&Path]) -> Result<Self> {
        let mut child = Command::new("unshare")
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--propagation",
                "private",
            ])
            .args(["sh", "-c", script, "machine"])
            .arg(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("run unshare")?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self {
            child,
            input,
            output,
        })
    }

    /// Has the worker do one thing.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Vec<f64>> {
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        self.input
            .as_mut()
            .context("the worker is closed")?
            .write_all(line.as_bytes())
            .context("speak to the worker")?;
        line.clear();
        self.output.read_line(&mut line)?;
        let answer: Answer = serde_json::from_str(&line).context("the worker ended")?;
        match answer.error {
            Some(error) => bail!(error),
            None => Ok(answer.values),
        }
    }

    /// Runs a program to its end; milliseconds.
    pub(crate) fn run(&mut self, argv: &[String]) -> Result<f64> {
        let argv = argv.to_vec();
        let values = self.ask(&Request::Run { argv })?;
        values.first().copied().context("no time")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The end of its input ends the worker, and that its daemon.
        self.input.take();
        if let Err(error) = self.child.wait() {
            eprintln!("bench: wait for a worker: {error}");
        }
    }
}
