//! What a container has written.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;

use crate::{Engine, Result};

/// Which lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logs {
    /// Lines of stdout.
    pub stdout: bool,
    /// Lines of stderr.
    pub stderr: bool,
    /// Not older than this.
    pub since: Option<SystemTime>,
    /// Not newer than this.
    pub until: Option<SystemTime>,
    /// Only the last so many; `None`: all.
    pub tail: Option<usize>,
    /// Go on until the container ends.
    pub follow: bool,
}

/// Where a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line (or a piece of a very long one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it was written.
    pub source: Source,
    /// When.
    pub time: SystemTime,
    /// With its line feed, if it has one.
    pub bytes: Vec<u8>,
}

/// Lines as they are read.
#[derive(Debug)]
pub struct Stream {
    /// The container has a terminal: the stream is raw, not framed.
    pub tty: bool,
    /// Lines; closed at the end.
    pub lines: mpsc::Receiver<Result<Line>>,
}

/// Reads a container's log.
pub async fn logs(engine: &Arc<Engine>, reference: &str, which: Logs) -> Result<Stream> {
    todo!()
}
