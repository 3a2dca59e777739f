//! One connection through the proxy: two sockets and a pipe each way, moved by the kernel. Each side may end its own
//! direction alone.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::inet;
use sys::socket::shutdown_write;

/// What a pipe holds at most.
const ROOM: usize = 64 * 1024;

/// A relayed connection.
#[derive(Debug)]
pub(crate) struct Relay {
    client: OwnedFd,
    server: OwnedFd,
    connected: bool,
    up: Direction,
    down: Direction,
}

/// One of the two ways.
#[derive(Debug)]
struct Direction {
    reader: OwnedFd,
    writer: OwnedFd,
    held: usize,
    /// The source has ended.
    ended: bool,
    /// The end was passed on.
    passed: bool,
}

/// What becomes of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// There may be more.
    Lives,
    /// Both ways have ended, or one is broken.
    Ended,
}

impl Relay {
    /// Takes the connection that waits at a listener and begins one to the target.
    pub(crate) fn accept(listener: BorrowedFd<'_>, target: SocketAddr) -> io::Result<Self> {
        let client = inet::accept_tcp(listener)?;
        let (up, down) = (Direction::new()?, Direction::new()?);
        let server = inet::begin_tcp(target).inspect_err(|_| {
            // The client is told at once, as it would be by a closed port.
            drop(inet::reset_on_close(client.as_fd()));
        })?;
        Ok(Self {
            client,
            server,
            connected: false,
            up,
            down,
        })
    }

    /// Both sockets, to be watched.
    pub(crate) fn sockets(&self) -> [BorrowedFd<'_>; 2] {
        [self.client.as_fd(), self.server.as_fd()]
    }

    /// Moves what can be moved.
    pub(crate) fn pump(&mut self) -> Fate {
        if !self.connected {
            // Until then an end of the client's must not be passed on: it would end the attempt (tcp_close_state).
            match inet::is_connected(self.server.as_fd()) {
                Ok(false) => return Fate::Lives,
                Ok(true) => self.connected = true,
                Err(_) => return self.broken(),
            }
        }
        let up = self.up.pump(self.client.as_fd(), self.server.as_fd());
        let down = self.down.pump(self.server.as_fd(), self.client.as_fd());
        match (up, down) {
            (Ok(()), Ok(())) if self.up.passed && self.down.passed => Fate::Ended,
            (Ok(()), Ok(())) => Fate::Lives,
            _ => self.broken(),
        }
    }

    /// Ends it without order, so that neither side takes it for a good end.
    pub(crate) fn broken(&self) -> Fate {
        drop(inet::reset_on_close(self.client.as_fd()));
        drop(inet::reset_on_close(self.server.as_fd()));
        Fate::Ended
    }
}

impl Direction {
    fn new() -> io::Result<Self> {
        let (reader, writer) = inet::pipe()?;
        Ok(Self {
            reader,
            writer,
            held: 0,
            ended: false,
            passed: false,
        })
    }

    fn pump(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
        loop {
            let mut moved = false;
            if !self.ended && self.held < ROOM {
                match later(inet::splice(from, self.writer.as_fd(), ROOM - self.held))? {
                    Some(0) => self.ended = true,
                    Some(length) => {
                        self.held += length;
                        moved = true;
                    }
                    // Nothing there, or all slots of the pipe are taken: then writing makes room and `moved` comes back.
                    None => {}
                }
            }
            if self.held > 0
                && let Some(length) = later(inet::splice(self.reader.as_fd(), to, self.held))?
            {
                self.held -= length;
                moved = true;
            }
            if self.ended && self.held == 0 && !self.passed {
                // The other end may have gone already: then there is nobody to tell.
                drop(shutdown_write(to));
                self.passed = true;
            }
            if !moved {
                return Ok(());
            }
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
