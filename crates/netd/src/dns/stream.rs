//! Questions and answers by connection: each behind its length, one at a time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use sys::epoll::Trigger;
use sys::inet;

use super::Asker;
use crate::server::{Server, Source};
use crate::slab::Token;

/// Connections of one container at a time.
const CALLERS: usize = 64;
/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(10);

/// A client that asks by connection.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) container: Rc<str>,
    socket: OwnedFd,
    received: Vec<u8>,
    waiting: Vec<u8>,
    /// Its question is being answered; the next one waits.
    busy: bool,
    pub(crate) deadline: Instant,
}

/// One question and its answer, with a resolver.
#[derive(Debug)]
pub(crate) struct Exchange {
    waiting: Vec<u8>,
    received: Vec<u8>,
}

impl Exchange {
    /// Of this question.
    pub(crate) fn new(message: &[u8]) -> Self {
        Self {
            waiting: framed(message),
            received: Vec::new(),
        }
    }

    /// Sends and receives what can be; gives the answer once it is whole.
    pub(crate) fn go_on(&mut self, socket: BorrowedFd<'_>) -> io::Result<Option<Vec<u8>>> {
        if !inet::is_connected(socket)? {
            return Ok(None);
        }
        flush(socket, &mut self.waiting)?;
        let ended = fill(socket, &mut self.received)?;
        match take(&mut self.received) {
            None if ended => Err(io::ErrorKind::UnexpectedEof.into()),
            answer => Ok(answer),
        }
    }
}

impl Server {
    /// Takes a connection to a container's server.
    pub(crate) fn call(&mut self, token: Token) {
        let Some(Source::Callers(listener, container)) = self.sources.get_mut(token) else {
            return;
        };
        let (Ok(socket), container) = (inet::accept_tcp(listener.as_fd()), container.clone())
        else {
            return;
        };
        let Some(resolver) = self.resolvers.get_mut(&container) else {
            return;
        };
        if resolver.streams >= CALLERS {
            return;
        }
        let caller = Caller {
            container: container.clone(),
            socket,
            received: Vec::new(),
            waiting: Vec::new(),
            busy: false,
            deadline: Instant::now() + IDLE,
        };
        let token = self.sources.insert(Source::Caller(Box::new(caller)));
        if let Some(Source::Caller(caller)) = self.sources.get_mut(token) {
            if self
                .epoll
                .add(caller.socket.as_fd(), token, Trigger::Edges)
                .is_err()
            {
                self.sources.remove(token);
                return;
            }
            resolver.streams += 1;
            self.waiting = true;
        }
    }

    /// A client by connection has news: takes one question, the next one when this is answered.
    pub(crate) fn caller(&mut self, token: Token) {
        let Some(Source::Caller(caller)) = self.sources.get_mut(token) else {
            return;
        };
        let sent = flush(caller.socket.as_fd(), &mut caller.waiting);
        let filled = fill(caller.socket.as_fd(), &mut caller.received);
        let (Ok(()), Ok(ended)) = (sent, filled) else {
            return self.hang_up(token);
        };
        // Who does not take answers gets no more of them.
        if caller.busy || !caller.waiting.is_empty() {
            return;
        }
        let Some(question) = take(&mut caller.received) else {
            if ended {
                self.hang_up(token);
            }
            return;
        };
        caller.busy = true;
        caller.deadline = Instant::now() + IDLE;
        let container = caller.container.clone();
        self.question(&container, Asker::Stream(token), &question);
    }

    /// Answers the question of a client by connection.
    pub(crate) fn reply_to_caller(&mut self, token: Token, answer: &[u8]) {
        let Some(Source::Caller(caller)) = self.sources.get_mut(token) else {
            return;
        };
        caller.busy = false;
        caller.waiting.extend(framed(answer));
        if flush(caller.socket.as_fd(), &mut caller.waiting).is_err() {
            self.hang_up(token);
        } else {
            // Its next question may have come already; the loop takes it up in its next turn, after others.
            self.come_again(token);
        }
    }

    /// Closes a client's connection.
    pub(crate) fn hang_up(&mut self, token: Token) {
        if let Some(Source::Caller(caller)) = self.sources.remove(token)
            && let Some(resolver) = self.resolvers.get_mut(&caller.container)
        {
            resolver.streams -= 1;
        }
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&message[..usize::from(length)]);
    bytes
}

fn flush(socket: BorrowedFd<'_>, waiting: &mut Vec<u8>) -> io::Result<()> {
    while !waiting.is_empty() {
        match inet::send(socket, waiting) {
            Ok(sent) => drop(waiting.drain(..sent)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Receives what is there, one message and a bit at most; says whether that was the end.
fn fill(socket: BorrowedFd<'_>, received: &mut Vec<u8>) -> io::Result<bool> {
    const MOST: usize = 2 + u16::MAX as usize;
    let mut buffer = [0; 4096];
    while received.len() < MOST {
        match inet::recv(socket, &mut buffer) {
            Ok(0) => return Ok(true),
            Ok(length) => received.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Takes the first message, if it is whole.
fn take(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let [high, low, ..] = received[..] else {
        return None;
    };
    let end = 2 + usize::from(u16::from_be_bytes([high, low]));
    if received.len() < end {
        return None;
    }
    let message = received[2..end].to_vec();
    received.drain(..end);
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_once_they_are_whole() {
        let mut received = framed(b"one");
        let second = framed(b"two");
        received.extend_from_slice(&second[..4]);
        assert_eq!(take(&mut received).as_deref(), Some(&b"one"[..]));
        assert_eq!(take(&mut received), None);
        received.extend_from_slice(&second[4..]);
        assert_eq!(take(&mut received).as_deref(), Some(&b"two"[..]));
        assert_eq!(take(&mut received), None);
    }
}
