//! Run one more process in a running container: create, start, inspect, resize.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::{Engine, Result};

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Create {
    /// Program and arguments, at least one.
    pub command: Vec<String>,
    /// `NAME=value`, over the container's.
    pub env: Vec<String>,
    /// `user[:group]`; empty: the container's.
    pub user: String,
    /// Absolute; empty: the container's.
    pub working_dir: String,
    /// A pseudo-terminal.
    pub tty: bool,
    /// Wants input.
    pub stdin: bool,
    /// Wants stdout.
    pub stdout: bool,
    /// Wants stderr.
    pub stderr: bool,
    /// All capabilities.
    pub privileged: bool,
    /// Instead of ctrl-p ctrl-q; parsed bytes.
    pub detach_keys: Option<Vec<u8>>,
    /// Rows and columns.
    pub console_size: Option<(u16, u16)>,
}

/// How to start it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// Nobody is connected.
    pub detach: bool,
    /// Rows and columns, instead of those of its creation.
    pub console_size: Option<(u16, u16)>,
}

/// A process that was asked for.
#[derive(Debug)]
pub struct Exec {
    /// 64 hex digits.
    pub id: String,
    /// The container's id.
    pub container: String,
    /// What to run.
    pub create: Create,
}

/// How an exec stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not started.
    Created,
    /// Running, with its pid on the host.
    Running(i32),
    /// Ended, with its code and the pid it had.
    Exited(i32, i32),
}

/// An exec about to be started.
#[derive(Debug)]
pub struct Prepared {
    /// It has a terminal: the stream is raw.
    pub tty: bool,
}

/// Creates an exec in a running container and returns its id.
pub async fn create(engine: &Arc<Engine>, reference: &str, request: Create) -> Result<String> {
    todo!()
}

/// Checks that an exec can be started: before the connection is upgraded.
pub fn prepare(engine: &Arc<Engine>, id: &str, how: Start) -> Result<Prepared> {
    todo!()
}

impl Prepared {
    /// Starts it; the connection (none: detached) goes to the monitor.
    pub async fn start(self, connection: Option<OwnedFd>, early_input: Vec<u8>) -> Result<()> {
        todo!()
    }
}

/// An exec and how it stands.
pub fn inspect(engine: &Arc<Engine>, id: &str) -> Result<(Arc<Exec>, Progress)> {
    todo!()
}

/// Resizes its terminal.
pub async fn resize(engine: &Arc<Engine>, id: &str, rows: u16, columns: u16) -> Result<()> {
    todo!()
}
