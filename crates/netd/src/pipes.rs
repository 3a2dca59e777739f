//! Pipes that carry bytes from one socket to another without a copy. A connection has one only while it holds bytes: what
//! is idle costs none.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use sys::inet;

/// What a pipe has room for: the more it takes at once, the less often anyone is woken.
const LARGE: usize = 1024 * 1024;
/// What a pipe has room for as the kernel makes it.
const SMALL: usize = 64 * 1024;
/// So many pipes are large. Connections whose receivers are slow fill theirs, and there may be thousands of them.
const MANY: usize = 32;
/// So many are kept for the next that has bytes.
const KEPT: usize = 8;

/// One way of a connection.
#[derive(Debug)]
pub(crate) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    room: usize,
    held: usize,
    /// Counts it, if it is large.
    large: Option<Rc<()>>,
}

impl Pipe {
    pub(crate) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes what there is; `Some(0)` at the end of it, `None` where there is nothing now, or no room.
    pub(crate) fn fill(&mut self, from: BorrowedFd<'_>) -> io::Result<Option<usize>> {
        if self.held == self.room {
            return Ok(None);
        }
        let taken = later(inet::splice(
            from,
            self.writer.as_fd(),
            self.room - self.held,
        ))?;
        self.held += taken.unwrap_or(0);
        Ok(taken)
    }

    /// Gives what it holds, as far as it is taken.
    pub(crate) fn drain(&mut self, to: BorrowedFd<'_>) -> io::Result<usize> {
        if self.held == 0 {
            return Ok(0);
        }
        let given = later(inet::splice(self.reader.as_fd(), to, self.held))?.unwrap_or(0);
        self.held -= given;
        Ok(given)
    }
}

/// Pipes that hold nothing.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    idle: Vec<Pipe>,
    large: Rc<()>,
}

impl Pipes {
    /// An empty pipe.
    pub(crate) fn take(&mut self) -> io::Result<Pipe> {
        if let Some(pipe) = self.idle.pop() {
            return Ok(pipe);
        }
        let (reader, writer) = inet::pipe()?;
        // The count of its owners begins with one that is no pipe.
        let large = (Rc::strong_count(&self.large) <= MANY
            && inet::set_pipe_size(writer.as_fd(), LARGE).is_ok())
        .then(|| self.large.clone());
        let room = if large.is_some() { LARGE } else { SMALL };
        Ok(Pipe {
            reader,
            writer,
            room,
            held: 0,
            large,
        })
    }

    /// Takes an empty pipe back.
    pub(crate) fn give(&mut self, pipe: Pipe) {
        debug_assert!(pipe.is_empty(), "the next connection would get its bytes");
        if pipe.large.is_some() && self.idle.len() < KEPT {
            self.idle.push(pipe);
        }
    }
}

/// `None` when it would have to wait.
fn later(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}
