//! Requests of engines, and their answers.

use std::os::fd::OwnedFd;
use std::time::SystemTime;

use sys::socket::SeqPacket;

use crate::exit::Exec;
use crate::protocol::{Attach, Call, Event, ExecLaunch, Failure, Message, Reply, Request};
use crate::streams::NOWHERE;
use crate::watch::Monitor;

/// One connection of an engine.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) socket: SeqPacket,
    pub(crate) place: usize,
    pub(crate) gone: bool,
}

impl Engine {
    pub(crate) fn new(socket: SeqPacket) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            place: NOWHERE,
            gone: false,
        })
    }

    /// Sends a message. An engine that does not take its messages is let go: it can connect again and ask for the state.
    pub(crate) fn tell(&mut self, message: &Message) {
        let sent = postcard::to_allocvec(message).map(|bytes| self.socket.send(&bytes, &[]));
        self.gone |= !matches!(sent, Ok(Ok(())));
    }
}

impl Monitor {
    /// Tells all engines.
    pub(crate) fn announce(&mut self, event: Event) {
        let message = Message::Event(event);
        for engine in &mut self.engines {
            engine.tell(&message);
        }
        self.engines.retain(|engine| !engine.gone);
    }

    /// Answers what one engine asks at the moment.
    pub(crate) fn serve(&mut self, engine: &mut Engine) {
        loop {
            let (count, fds) = match engine.socket.recv(&mut self.packet) {
                Ok(received) => received,
                Err(error) => {
                    engine.gone |= error.kind() != std::io::ErrorKind::WouldBlock;
                    return;
                }
            };
            let call = if count == 0 {
                None
            } else {
                postcard::from_bytes::<Call>(&self.packet).ok()
            };
            let Some(call) = call else {
                engine.gone = true;
                return;
            };
            if self.packet.len() > 4096 {
                self.packet = Vec::new();
            }
            let reply = self
                .answer(call.request, fds.into_iter().next())
                .unwrap_or_else(Reply::Failed);
            engine.tell(&Message::Reply(call.seq, reply));
        }
    }

    fn answer(&mut self, request: Request, fd: Option<OwnedFd>) -> Result<Reply, Failure> {
        if self.ending.is_some() {
            return Ok(Reply::NotRunning);
        }
        match request {
            Request::Start => self.start(),
            Request::Attach(attach) => Ok(self.attach(&attach, fd)),
            Request::Signal { signal, all } => {
                let sent = self.container.signal(signal, all)?;
                Ok(if sent { Reply::Done } else { Reply::NotRunning })
            }
            Request::Resize {
                exec,
                rows,
                columns,
            } => self.resize(exec.as_deref(), rows, columns),
            Request::Exec(launch) => self.exec(*launch, fd),
            Request::Pause => self.container.freeze(true).map(|()| Reply::Done),
            Request::Resume => self.container.freeze(false).map(|()| Reply::Done),
            Request::State => Ok(self.state()),
        }
    }

    fn start(&mut self) -> Result<Reply, Failure> {
        if self.started_at != 0 {
            return Ok(Reply::Started {
                pid: self.container.pid(),
            });
        }
        match self.container.start() {
            Ok(()) => {
                self.started_at = nanoseconds(SystemTime::now());
                Ok(Reply::Started {
                    pid: self.container.pid(),
                })
            }
            Err(failure) => {
                self.never_started();
                Err(failure)
            }
        }
    }

    fn attach(&mut self, attach: &Attach, fd: Option<OwnedFd>) -> Reply {
        if let Some(fd) = fd {
            self.streams.attach(fd, attach, &self.settings.detach_keys);
        }
        Reply::Done
    }

    fn resize(&self, exec: Option<&str>, rows: u16, columns: u16) -> Result<Reply, Failure> {
        let streams = match exec {
            None => &self.streams,
            Some(id) => match self.execs.iter().find(|exec| exec.id == id) {
                Some(exec) => &exec.streams,
                None => return Ok(Reply::NotRunning),
            },
        };
        let resized = streams
            .resize(rows, columns)
            .map_err(crate::launch::failed("resize the terminal"))?;
        Ok(if resized {
            Reply::Done
        } else {
            Reply::NotRunning
        })
    }

    fn exec(&mut self, launch: ExecLaunch, fd: Option<OwnedFd>) -> Result<Reply, Failure> {
        if self.started_at == 0 {
            return Ok(Reply::NotRunning);
        }
        let (pid, mut streams) =
            self.container
                .exec(&launch.process, &launch.stdio, fd.is_some())?;
        if let Some(fd) = fd {
            streams.attach(fd, &launch.attach, &self.settings.detach_keys);
        }
        self.execs.push(Exec {
            id: launch.id,
            pid,
            streams,
            ended: None,
            announced: false,
        });
        Ok(Reply::Started { pid })
    }

    fn state(&self) -> Reply {
        let execs = self.execs.iter().filter(|exec| exec.ended.is_none());
        Reply::State {
            pid: self.container.pid(),
            started: self.started_at != 0,
            paused: self.container.is_frozen(),
            started_at: self.started_at,
            execs: execs.map(|exec| (exec.id.clone(), exec.pid)).collect(),
        }
    }
}

/// Nanoseconds since the epoch.
pub(crate) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
