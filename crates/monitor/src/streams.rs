//! The standard streams of one process (the container's first, or an exec) and the clients attached to them.
//!
//! ```text
//! process ── stdout, stderr (pipes) or terminal ──> log, and every client that wants it
//! process <── stdin (pipe) or terminal ──────────── every client with input
//! ```
//!
//! Nothing is buffered without bound: output is read only while every client has room for it, input only while the
//! process has taken what came before.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::SystemTime;

use sys::poll::{Interest, Poll};

use crate::client::Client;
use crate::logfile::{Stream, Writer};
use crate::protocol::{Attach, Stdio};

/// Not in the list that is waited for.
pub(crate) const NOWHERE: usize = usize::MAX;

/// Bytes read at once.
pub(crate) const BUFFER: usize = 64 * 1024;

/// One process's streams.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    tty: bool,
    /// Input ends with the client that gave it.
    close_stdin: bool,
    input: Option<Input>,
    outputs: [Option<Output>; 2],
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Input {
    file: File,
    /// What the process has not taken yet.
    pending: Vec<u8>,
    /// Close once that is taken.
    ends: bool,
    place: usize,
}

#[derive(Debug)]
struct Output {
    file: File,
    place: usize,
    /// A terminal that no process has open at the moment.
    hung_up: bool,
}

/// Both ends of three pipes.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) streams: Streams,
    /// The process's stdin, stdout, stderr.
    pub(crate) ends: [OwnedFd; 3],
}

/// Makes pipes; a stream nobody will use is `/dev/null`.
pub(crate) fn pipes(stdio: &Stdio, output: bool) -> io::Result<Pipes> {
    let mut streams = Streams {
        close_stdin: stdio.stdin_once,
        ..Streams::default()
    };
    let null = || {
        File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .map(OwnedFd::from)
    };
    let stdin = if stdio.open_stdin {
        let (reader, writer) = io::pipe()?;
        streams.input = Some(Input::new(writer.into())?);
        reader.into()
    } else {
        null()?
    };
    let mut piped = |place: usize| {
        if !output {
            return null();
        }
        let (reader, writer) = io::pipe()?;
        streams.outputs[place] = Some(Output::new(reader.into())?);
        Ok(OwnedFd::from(writer))
    };
    let (stdout, stderr) = (piped(0)?, piped(1)?);
    Ok(Pipes {
        streams,
        ends: [stdin, stdout, stderr],
    })
}

impl Input {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        sys::poll::set_nonblocking(fd.as_fd(), true)?;
        Ok(Self {
            file: fd.into(),
            pending: Vec::new(),
            ends: false,
            place: NOWHERE,
        })
    }
}

impl Output {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        sys::poll::set_nonblocking(fd.as_fd(), true)?;
        Ok(Self {
            file: fd.into(),
            place: NOWHERE,
            hung_up: false,
        })
    }
}

impl Streams {
    /// The streams of a process in a terminal, by its master.
    pub(crate) fn terminal(stdio: &Stdio, master: OwnedFd) -> io::Result<Self> {
        if let Some((rows, columns)) = stdio.console_size {
            sys::tty::set_size(master.as_fd(), sys::tty::Size { rows, columns })?;
        }
        let input = if stdio.open_stdin {
            Some(Input::new(master.try_clone()?)?)
        } else {
            None
        };
        let outputs = [Some(Output::new(master)?), None];
        Ok(Self {
            tty: true,
            close_stdin: stdio.stdin_once,
            input,
            outputs,
            clients: Vec::new(),
        })
    }

    /// Connects a client.
    pub(crate) fn attach(&mut self, fd: OwnedFd, attach: &Attach, default_keys: &[u8]) {
        let mut client = Client::new(fd, attach, self.tty, default_keys);
        client.stdin &= self.input.is_some();
        if client.stdin && !attach.early_input.is_empty() {
            self.take_input(&mut client, &attach.early_input);
        }
        self.clients.push(client);
    }

    /// Sets the terminal's size; false without a terminal.
    pub(crate) fn resize(&self, rows: u16, columns: u16) -> io::Result<bool> {
        match &self.outputs[0] {
            Some(output) if self.tty => {
                sys::tty::set_size(output.file.as_fd(), sys::tty::Size { rows, columns })?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Adds everything there is to wait for. `drain`: read on whether or not the clients have room.
    pub(crate) fn poll(&mut self, poll: &mut Poll, drain: bool) {
        let mut listen = true;
        if let Some(input) = &mut self.input {
            listen = input.pending.is_empty();
            input.place = if listen {
                NOWHERE
            } else {
                poll.add(input.file.as_fd(), Interest::Write)
            };
        }
        for client in &mut self.clients {
            client.poll(poll, listen);
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            let room = drain
                || self
                    .clients
                    .iter()
                    .all(|client| !client.wants(stream) || client.has_room());
            if let Some(output) = &mut self.outputs[stream as usize] {
                let wait = room && (drain || !output.hung_up);
                output.place = if wait {
                    poll.add(output.file.as_fd(), Interest::Read)
                } else {
                    NOWHERE
                };
            }
        }
    }

    /// Moves what can be moved.
    pub(crate) fn serve(
        &mut self,
        poll: &Poll,
        buffer: &mut [u8],
        log: &mut Option<Writer>,
        drain: bool,
    ) {
        self.serve_clients(poll, buffer);
        if self
            .input
            .as_ref()
            .is_some_and(|input| poll.ready(input.place).writable)
        {
            self.write_input(&[]);
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            let ready = self.outputs[stream as usize]
                .as_ref()
                .is_some_and(|output| poll.ready(output.place).readable);
            if ready {
                self.read_output(stream, buffer, log, drain);
            }
        }
        self.clients.retain(|client| !client.gone);
    }

    fn serve_clients(&mut self, poll: &Poll, buffer: &mut [u8]) {
        let mut clients = std::mem::take(&mut self.clients);
        for client in &mut clients {
            let may_read = self
                .input
                .as_ref()
                .is_none_or(|input| input.pending.is_empty());
            if client.news(poll) && may_read {
                match client.receive(buffer) {
                    Some(0) => self.input_ended(client),
                    Some(count) => self.take_input(client, &buffer[..count]),
                    None => {}
                }
            }
            client.settle();
        }
        self.clients = clients;
    }

    fn take_input(&mut self, client: &mut Client, bytes: &[u8]) {
        let Some(detach) = &mut client.detach else {
            return self.write_input(bytes);
        };
        let mut passed = Vec::new();
        let detached = detach.feed(bytes, &mut passed);
        self.write_input(&passed);
        if detached {
            client.leave();
        }
    }

    /// A client sends no more. As in Docker: either that ends the process's input too, or the client is done.
    fn input_ended(&mut self, client: &mut Client) {
        client.stdin = false;
        if !self.close_stdin || self.tty {
            client.leave();
            return;
        }
        if let Some(input) = &mut self.input {
            input.ends = true;
        }
        self.write_input(&[]);
    }

    /// Gives bytes to the process, after those that wait already. What a process does not want any more is thrown away.
    fn write_input(&mut self, bytes: &[u8]) {
        let Some(input) = &mut self.input else { return };
        let mut rest = bytes;
        if !input.pending.is_empty() {
            input.pending.extend_from_slice(bytes);
            rest = &[];
        }
        let pending = std::mem::take(&mut input.pending);
        let mut source = if pending.is_empty() { rest } else { &pending };
        while !source.is_empty() {
            match input.file.write(source) {
                Ok(count) => source = &source[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    input.pending = source.to_vec();
                    return;
                }
                Err(_) => {
                    self.input = None;
                    return;
                }
            }
        }
        if input.ends {
            self.input = None;
        }
    }

    fn read_output(
        &mut self,
        stream: Stream,
        buffer: &mut [u8],
        log: &mut Option<Writer>,
        drain: bool,
    ) {
        let Some(output) = &mut self.outputs[stream as usize] else {
            return;
        };
        match output.file.read(buffer) {
            Ok(count @ 1..) => {
                output.hung_up = false;
                let bytes = &buffer[..count];
                if let Some(log) = log {
                    log.write(stream, bytes, SystemTime::now());
                }
                for client in self
                    .clients
                    .iter_mut()
                    .filter(|client| client.wants(stream))
                {
                    client.send(stream, bytes);
                }
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            // EIO: no process has the terminal open. One may open it again, as systemd does with the console.
            Err(_) if self.tty && !drain => output.hung_up = true,
            _ => {
                self.outputs[stream as usize] = None;
                if let Some(log) = log {
                    log.end(stream, SystemTime::now());
                }
            }
        }
    }

    /// Says whether the terminal has been let go; to be tried again later.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.outputs.iter().flatten().any(|output| output.hung_up)
    }

    /// Tries a terminal that had been let go again.
    pub(crate) fn retry(&mut self) {
        for output in self.outputs.iter_mut().flatten() {
            output.hung_up = false;
        }
    }

    /// Says whether all output has been read.
    pub(crate) fn has_ended(&self) -> bool {
        self.outputs.iter().all(Option::is_none)
    }

    /// Reads no more output, takes no more input: the process is gone.
    pub(crate) fn end(&mut self, log: &mut Option<Writer>) {
        self.input = None;
        self.outputs = [None, None];
        if let Some(log) = log {
            log.end(Stream::Stdout, SystemTime::now());
            log.end(Stream::Stderr, SystemTime::now());
        }
    }

    /// Closes the clients' connections, each as soon as it has everything.
    pub(crate) fn dismiss(&mut self) {
        for client in &mut self.clients {
            client.leave();
        }
        self.clients.retain(|client| !client.gone);
    }

    /// Says whether any output is still waited for.
    pub(crate) fn has_clients(&self) -> bool {
        !self.clients.is_empty()
    }
}

#[cfg(test)]
mod tests;
