//! What the runtime and the process it makes say to one another, over a socket that the exec closes.
//!
//! ```text
//! runtime                                   child
//!   │ clone3 ───────────────────────────────> │ sets itself up
//!   │ <───────────────── Ready (+ pty master) │ or Failed
//!   │ Go (over the gate: this socket, or one accepted from a listener)
//!   │ ──────────────────────────────────────> │ loads its filter, executes
//!   │ <───────────────────────── end of file  │ or Failed
//! ```
//!
//! A runtime that ends before Go makes the child end, too.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sys::poll::{Interest, Poll};
use sys::socket::SeqPacket;

use crate::error::{Failure, Step};

/// What the child reports.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// All is done but the exec; a pty master may ride along.
    Ready {
        /// What was asked and could not be had, and does not matter enough to fail.
        warnings: Vec<String>,
    },
    /// A step failed; the child ends.
    Failed(Failure),
}

const GO: &[u8] = b"go";

/// The runtime's end.
#[derive(Debug)]
pub(crate) struct RuntimeEnd {
    socket: SeqPacket,
    /// When the child is given up.
    deadline: Option<Instant>,
}

/// The child's end.
#[derive(Debug)]
pub(crate) struct ChildEnd(SeqPacket);

/// Two ends.
pub(crate) fn pair() -> Result<(RuntimeEnd, ChildEnd), Failure> {
    let (runtime, child) = SeqPacket::pair().step(|| "make a socket pair")?;
    Ok((RuntimeEnd::connected(runtime), ChildEnd(child)))
}

impl RuntimeEnd {
    /// Takes a connection to a gate.
    pub(crate) fn connected(socket: SeqPacket) -> Self {
        Self {
            socket,
            deadline: None,
        }
    }

    /// Waits only so long from now on: for a child that others may hold up.
    pub(crate) fn within(self, limit: Duration) -> Self {
        Self {
            deadline: Some(Instant::now() + limit),
            ..self
        }
    }

    fn receive(&self) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        if let Some(deadline) = self.deadline {
            let mut poll = Poll::new();
            poll.add(self.socket.as_fd(), Interest::Read);
            // A signal ends a wait early.
            while poll.wait(Some(deadline.saturating_duration_since(Instant::now())))? == 0 {
                if Instant::now() >= deadline {
                    let held_up = "it was held up for too long";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, held_up));
                }
            }
        }
        let mut buffer = Vec::new();
        let (_, fds) = self.socket.recv(&mut buffer)?;
        Ok((buffer, fds))
    }

    /// Waits until the child is ready.
    pub(crate) fn ready(&self) -> Result<(Vec<String>, Option<OwnedFd>), Failure> {
        let (buffer, mut fds) = self.receive().step(|| "wait for the container's process")?;
        if buffer.is_empty() {
            return Err(died());
        }
        match decode(&buffer)? {
            Report::Ready { warnings } => Ok((warnings, fds.pop())),
            Report::Failed(failure) => Err(failure),
        }
    }

    /// Lets the child execute, and waits until it has.
    pub(crate) fn go(self) -> Result<(), Failure> {
        self.socket
            .send(GO, &[])
            .step(|| "let the container's process go")?;
        self.executed()
    }

    /// Waits until the child has executed its program.
    pub(crate) fn executed(self) -> Result<(), Failure> {
        let (buffer, _) = self.receive().step(|| "wait for the container's program")?;
        if buffer.is_empty() {
            return Ok(());
        }
        match decode(&buffer)? {
            Report::Failed(failure) => Err(failure),
            Report::Ready { .. } => Ok(()),
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Report, Failure> {
    postcard::from_bytes(bytes)
        .map_err(|error| Failure::setup("read the child's report", &io::Error::other(error)))
}

fn died() -> Failure {
    Failure {
        stage: crate::Stage::Setup,
        errno: 0,
        message: "the container's process ended before it was ready".to_owned(),
    }
}

impl ChildEnd {
    /// Reports that all is done but the exec.
    pub(crate) fn ready(
        &self,
        warnings: Vec<String>,
        terminal: Option<&OwnedFd>,
    ) -> Result<(), Failure> {
        self.send(&Report::Ready { warnings }, terminal)
    }

    /// Reports a failure; the runtime may be gone, which changes nothing.
    pub(crate) fn failed(&self, failure: Failure) {
        drop(self.send(&Report::Failed(failure), None));
    }

    fn send(&self, report: &Report, fd: Option<&OwnedFd>) -> Result<(), Failure> {
        let bytes = postcard::to_allocvec(report)
            .map_err(|error| Failure::setup("write the report", &io::Error::other(error)))?;
        let fds: Vec<_> = fd.iter().map(|fd| fd.as_fd()).collect();
        self.0.send(&bytes, &fds).step(|| "report to the runtime")
    }

    /// Waits for Go; with a listener, from whoever connects, and further reports go there. `None`: the runtime is gone.
    pub(crate) fn wait(self, gate: Option<&SeqPacket>) -> Result<Option<Self>, Failure> {
        let end = match gate {
            Some(listener) => {
                drop(self);
                Self(listener.accept().step(|| "wait for start")?)
            }
            None => self,
        };
        let mut buffer = Vec::new();
        let (size, _) = end.0.recv(&mut buffer).step(|| "wait for start")?;
        Ok((size > 0 && buffer == GO).then_some(end))
    }
}
