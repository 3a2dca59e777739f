//! One connection through the proxy: two sockets, and a pipe each way while there are bytes, moved by the kernel. Each side
//! may end its own direction alone.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::inet;
use sys::socket::shutdown_write;

use crate::pipes::{Pipe, Pipes};

/// What is moved at once, in and out, before others have their turn.
const TURN: usize = 8 * 1024 * 1024;

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
#[derive(Debug, Default)]
struct Direction {
    /// While it holds bytes.
    pipe: Option<Pipe>,
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
    /// There is more already: others have their turn first.
    Again,
    /// Both ways have ended, or one is broken.
    Ended,
}

impl Relay {
    /// Takes the connection that waits at a listener and begins one to the target.
    pub(crate) fn accept(
        listener: BorrowedFd<'_>,
        target: SocketAddr,
        pipes: &mut Pipes,
    ) -> io::Result<Self> {
        // Without descriptors for its bytes a connection had better wait where it does.
        let pipe = pipes.take()?;
        pipes.give(pipe);
        let client = inet::accept_tcp(listener)?;
        let server = inet::begin_tcp(target).inspect_err(|_| {
            // The client is told at once, as it would be by a closed port.
            drop(inet::reset_on_close(client.as_fd()));
        })?;
        Ok(Self {
            client,
            server,
            connected: false,
            up: Direction::default(),
            down: Direction::default(),
        })
    }

    /// Both sockets, to be watched.
    pub(crate) fn sockets(&self) -> [BorrowedFd<'_>; 2] {
        [self.client.as_fd(), self.server.as_fd()]
    }

    /// Moves what can be moved.
    pub(crate) fn pump(&mut self, pipes: &mut Pipes) -> Fate {
        if !self.connected {
            // Until then an end of the client's must not be passed on: it would end the attempt (tcp_close_state).
            match inet::is_connected(self.server.as_fd()) {
                Ok(false) => return Fate::Lives,
                Ok(true) => self.connected = true,
                Err(_) => return self.broken(),
            }
        }
        let (client, server) = (self.client.as_fd(), self.server.as_fd());
        let up = self.up.pump(client, server, pipes);
        let down = self.down.pump(server, client, pipes);
        match (up, down) {
            (Ok(_), Ok(_)) if self.up.passed && self.down.passed => Fate::Ended,
            (Ok(false), Ok(false)) => Fate::Lives,
            (Ok(_), Ok(_)) => Fate::Again,
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
    /// Says whether there may be more to move.
    fn pump(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        pipes: &mut Pipes,
    ) -> io::Result<bool> {
        let mut turn = 0;
        while turn < TURN {
            let before = turn;
            if !self.ended {
                let pipe = match &mut self.pipe {
                    Some(pipe) => pipe,
                    none => none.insert(pipes.take()?),
                };
                // Nothing comes where nothing is there, or all places of the pipe are taken: then draining makes room.
                match pipe.fill(from)? {
                    Some(0) => self.ended = true,
                    taken => turn += taken.unwrap_or(0),
                }
            }
            if let Some(pipe) = &mut self.pipe {
                turn += pipe.drain(to)?;
            }
            if let Some(pipe) = self.pipe.take_if(|pipe| pipe.is_empty()) {
                pipes.give(pipe);
            }
            if self.ended && self.pipe.is_none() && !self.passed {
                // The other end may have gone already: then there is nobody to tell.
                drop(shutdown_write(to));
                self.passed = true;
            }
            if turn == before {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
