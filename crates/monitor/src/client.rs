//! An attached client: its connection, and what it has not read yet.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};

use sys::poll::{Interest, Poll};
use sys::socket::{recv_now, send_now, shutdown_write};

use crate::detach::Detach;
use crate::logfile::Stream;
use crate::protocol::Attach;
use crate::streams::NOWHERE;

/// What may wait for a slow reader before the container's output has to wait.
pub(crate) const BACKLOG: usize = 64 * 1024;

/// What is read and thrown away of a client's input before its connection is closed, at most.
const UNREAD: usize = 1024 * 1024;

/// One attached client.
#[derive(Debug)]
pub(crate) struct Client {
    fd: OwnedFd,
    /// Each piece of output has an 8-byte header (no terminal).
    framed: bool,
    /// Its input is still wanted.
    pub(crate) stdin: bool,
    wants: [bool; 2],
    backlog: Vec<u8>,
    /// Bytes of the backlog that have been sent.
    sent: usize,
    pub(crate) detach: Option<Detach>,
    /// To be dropped: has gone or failed.
    pub(crate) gone: bool,
    /// To be dropped once it has what was sent so far: detached, or done.
    leaving: bool,
    /// The other end has closed both ways; what it sent before may still be there to read.
    hung_up: bool,
    pub(crate) place: usize,
}

impl Client {
    pub(crate) fn new(fd: OwnedFd, attach: &Attach, tty: bool, default_keys: &[u8]) -> Self {
        let keys = attach.detach_keys.as_deref().unwrap_or(default_keys);
        Self {
            fd,
            framed: !tty,
            stdin: attach.stdin,
            wants: [attach.stdout, attach.stderr],
            backlog: Vec::new(),
            sent: 0,
            detach: if tty { Detach::new(keys) } else { None },
            gone: false,
            leaving: false,
            hung_up: false,
            place: NOWHERE,
        }
    }

    pub(crate) fn wants(&self, stream: Stream) -> bool {
        self.wants[stream as usize] && !self.gone && !self.leaving
    }

    /// Says whether more output may be read for this client.
    pub(crate) fn has_room(&self) -> bool {
        self.backlog.len() - self.sent < BACKLOG
    }

    /// Says whether the client has everything.
    #[cfg(test)]
    pub(crate) fn is_flushed(&self) -> bool {
        self.gone || self.backlog.is_empty()
    }

    /// Gets no more output than it has been sent, then is closed.
    pub(crate) fn leave(&mut self) {
        self.stdin = false;
        self.leaving = true;
        self.gone |= self.backlog.is_empty();
    }

    /// Adds the connection; `listen`: there is room for its input.
    pub(crate) fn poll(&mut self, poll: &mut Poll, listen: bool) {
        if self.hung_up && !(self.stdin && listen) {
            // Would be reported for ever while the process does not take its input.
            self.place = NOWHERE;
            return;
        }
        let interest = match (self.stdin && listen, self.backlog.is_empty()) {
            (true, true) => Interest::Read,
            (true, false) => Interest::Both,
            (false, false) => Interest::Write,
            (false, true) => Interest::Hangup,
        };
        self.place = poll.add(self.fd.as_fd(), interest);
    }

    /// Takes note of what was found at its place; says whether there is input.
    pub(crate) fn news(&mut self, poll: &Poll) -> bool {
        let ready = poll.ready(self.place);
        if ready.writable {
            self.flush();
        }
        self.hung_up |= ready.hangup;
        self.stdin && ready.readable
    }

    /// A client that reads nothing more and sends nothing more has gone.
    pub(crate) fn settle(&mut self) {
        self.gone |= self.hung_up && !self.stdin;
    }

    /// Sends output, or keeps what there is no room for.
    pub(crate) fn send(&mut self, stream: Stream, bytes: &[u8]) {
        if self.gone || bytes.is_empty() {
            return;
        }
        let header = header(stream, bytes.len());
        let header = if self.framed { header.as_slice() } else { &[] };
        let mut sent = 0;
        if self.backlog.is_empty() {
            let parts = [IoSlice::new(header), IoSlice::new(bytes)];
            sent = self.result(send_now(self.fd.as_fd(), &parts));
        }
        if sent < header.len() {
            self.backlog.extend_from_slice(&header[sent..]);
        }
        self.backlog
            .extend_from_slice(&bytes[sent.saturating_sub(header.len())..]);
    }

    /// Sends what was kept.
    pub(crate) fn flush(&mut self) {
        if self.backlog.is_empty() || self.gone {
            return;
        }
        let sent = send_now(self.fd.as_fd(), &[IoSlice::new(&self.backlog[self.sent..])]);
        self.sent += self.result(sent);
        if self.sent == self.backlog.len() {
            self.backlog = Vec::new();
            self.sent = 0;
            self.gone |= self.leaving;
        } else if self.sent > BACKLOG {
            self.backlog.drain(..self.sent);
            self.sent = 0;
        }
    }

    fn result(&mut self, sent: io::Result<usize>) -> usize {
        match sent {
            Ok(count) => count,
            Err(error) => {
                self.gone |= error.kind() != io::ErrorKind::WouldBlock;
                0
            }
        }
    }

    /// Receives input; `None`: nothing at the moment. Zero: there will be no more.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match recv_now(self.fd.as_fd(), buffer) {
            Ok(count) => Some(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => {
                self.gone = true;
                Some(0)
            }
        }
    }
}

impl Drop for Client {
    /// Says goodbye so that the other end reads everything and then its end, even if someone else holds a copy of this
    /// connection: closing one with unread input would be a reset, which may overtake what was sent.
    fn drop(&mut self) {
        shutdown_write(self.fd.as_fd()).ok();
        let mut unread = 0;
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = recv_now(self.fd.as_fd(), &mut buffer)
            && unread < UNREAD
        {
            unread += count;
        }
    }
}

/// The header of one piece of output: stream, three zeroes, length (big endian).
pub(crate) fn header(stream: Stream, length: usize) -> [u8; 8] {
    let length = u32::try_from(length)
        .expect("pieces are of one buffer's size")
        .to_be_bytes();
    let number = match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    };
    [number, 0, 0, 0, length[0], length[1], length[2], length[3]]
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn client(tty: bool) -> (Client, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let attach = Attach {
            stdout: true,
            stderr: true,
            ..Attach::default()
        };
        (Client::new(ours.into(), &attach, tty, &[]), theirs)
    }

    #[test]
    fn output_is_framed_without_a_terminal() {
        let (mut client, mut stream) = client(false);
        client.send(Stream::Stderr, b"abc");
        drop(client);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("reads");
        assert_eq!(bytes, b"\x02\0\0\0\0\0\0\x03abc");
    }

    #[test]
    fn a_slow_reader_gets_everything_in_order() {
        for tty in [true, false] {
            let (mut client, mut stream) = client(tty);
            let mut expect = Vec::new();
            let mut number = 0_u32;
            while client.has_room() {
                let piece = number.to_be_bytes().repeat(1000);
                client.send(Stream::Stdout, &piece);
                if !tty {
                    expect.extend_from_slice(&header(Stream::Stdout, piece.len()));
                }
                expect.extend_from_slice(&piece);
                number += 1;
            }
            let mut bytes = vec![0; 100_000];
            stream.read_exact(&mut bytes).expect("reads");
            while !client.is_flushed() {
                client.flush();
                let mut more = vec![0; 50_000];
                let count = stream.read(&mut more).expect("reads");
                bytes.extend_from_slice(&more[..count]);
            }
            drop(client);
            stream.read_to_end(&mut bytes).expect("reads");
            assert!(bytes == expect);
        }
    }

    #[test]
    fn a_dead_client_is_noticed() {
        let (mut client, stream) = client(true);
        drop(stream);
        client.send(Stream::Stdout, b"x");
        assert!(client.gone);
    }
}
