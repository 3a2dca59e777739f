//! Attach a client: its connection goes to the monitor, or waits for the start.
//!
//! ```text
//! daemon: prepare ─> answers 101 ─> (logs, if asked) ─> Prepared::connect(fd)
//! start:  ... Created ─> waits for those prepared ─> hands them over ─> Start
//! ```
//!
//! A place is kept from `prepare` on, so a start that the client sends right after the 101 does not overtake its connection.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::{Engine, Result};

/// How a client attaches.
#[derive(Clone, Debug, Default)]
pub struct Attach {
    /// Send its input.
    pub stdin: bool,
    /// Wants stdout.
    pub stdout: bool,
    /// Wants stderr.
    pub stderr: bool,
    /// Instead of ctrl-p ctrl-q; parsed bytes.
    pub detach_keys: Option<Vec<u8>>,
}

/// A client that was promised a place.
#[derive(Debug)]
pub struct Prepared {
    /// The container has a terminal: the stream is raw, not framed.
    pub tty: bool,
}

/// A client's place in the queue for the start.
#[derive(Debug)]
pub struct Pending {
}

/// Keeps a place for a client. The container need not run.
pub fn prepare(engine: &Arc<Engine>, reference: &str, attach: Attach) -> Result<Prepared> {
    todo!()
}

impl Prepared {
    /// Hands the client's connection over; `early_input` is what it sent before.
    pub async fn connect(self, connection: OwnedFd, early_input: Vec<u8>) -> Result<()> {
        todo!()
    }
}
