//! The loop: wait, move bytes, answer engines, reap; until the container has ended.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use sys::poll::{Interest, Poll};
use sys::socket::SeqPacket;

use crate::container::Container;
use crate::control::Engine;
use crate::exit::{Ending, Exec};
use crate::launch::Settings;
use crate::logfile::Writer;
use crate::streams::{BUFFER, NOWHERE, Streams};

/// How long memory for output is kept after the last of it.
const IDLE: Duration = Duration::from_millis(500);

/// How often a terminal that nobody has open is looked at.
const HUNG_UP: Duration = Duration::from_millis(100);

/// One container's monitor.
#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) settings: Settings,
    pub(crate) engines: Vec<Engine>,
    /// Where engines find it, until the container's end has been told.
    pub(crate) listener: Option<SeqPacket>,
    /// Readable when a child has ended.
    pub(crate) children: OwnedFd,
    pub(crate) poll: Poll,
    /// For all reading of streams; only there while something is read.
    pub(crate) buffer: Vec<u8>,
    /// For all packets of engines.
    pub(crate) packet: Vec<u8>,
    pub(crate) log: Option<Writer>,
    pub(crate) container: Container,
    pub(crate) streams: Streams,
    pub(crate) execs: Vec<Exec>,
    /// Nanoseconds since the epoch; 0: not started.
    pub(crate) started_at: u64,
    /// The first process is gone.
    pub(crate) ending: Option<Ending>,
}

impl Monitor {
    /// Runs until nothing is left to do; gives the exit code of the monitor.
    pub(crate) fn run(mut self) -> i32 {
        sys::memory::trim_stack();
        while !self.is_over() {
            if self.wait().is_err() {
                // Cannot happen short of memory exhaustion; the container ends with this process.
                return 1;
            }
        }
        0
    }

    fn wait(&mut self) -> std::io::Result<()> {
        let drain = self.ending.is_some();
        self.poll.clear();
        let children = self.poll.add(self.children.as_fd(), Interest::Read);
        let listener = match &self.listener {
            Some(listener) => self.poll.add(listener.as_fd(), Interest::Read),
            None => NOWHERE,
        };
        for engine in &mut self.engines {
            engine.place = self.poll.add(engine.socket.as_fd(), Interest::Read);
        }
        self.streams.poll(&mut self.poll, drain);
        for exec in &mut self.execs {
            exec.streams.poll(&mut self.poll, exec.ended.is_some());
        }
        let timeout = self.timeout();
        let ready = self.poll.wait(timeout)?;
        self.serve_streams(ready);
        if self.poll.ready(children).readable {
            sys::poll::drain_signal(self.children.as_fd());
            self.reap();
        }
        self.finish_execs();
        self.finish_container();
        self.serve_engines();
        if self.poll.ready(listener).readable
            && let Some(listener) = &self.listener
            && let Ok(socket) = listener.accept()
            && let Ok(engine) = Engine::new(socket)
        {
            self.engines.push(engine);
        }
        Ok(())
    }

    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let hung_up =
            self.streams.is_hung_up() || self.execs.iter().any(|exec| exec.streams.is_hung_up());
        let holds =
            self.buffer.capacity() > 0 || self.log.as_ref().is_some_and(Writer::holds_memory);
        [
            self.deadline()
                .map(|deadline| deadline.saturating_duration_since(now)),
            hung_up.then_some(HUNG_UP),
            holds.then_some(IDLE),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn serve_streams(&mut self, ready: usize) {
        if ready == 0 {
            self.rest();
            return;
        }
        if self.buffer.is_empty() {
            self.buffer = vec![0; BUFFER];
        }
        let drain = self.ending.is_some();
        self.streams
            .serve(&self.poll, &mut self.buffer, &mut self.log, drain);
        for exec in &mut self.execs {
            exec.streams.serve(
                &self.poll,
                &mut self.buffer,
                &mut None,
                exec.ended.is_some(),
            );
        }
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    /// Nothing has happened for a while: gives memory back, looks at terminals again.
    fn rest(&mut self) {
        self.buffer = Vec::new();
        self.packet = Vec::new();
        if let Some(log) = &mut self.log {
            log.relax();
        }
        sys::memory::trim();
        sys::memory::trim_stack();
        self.streams.retry();
        for exec in &mut self.execs {
            exec.streams.retry();
        }
    }

    fn serve_engines(&mut self) {
        let mut engines = std::mem::take(&mut self.engines);
        for engine in &mut engines {
            if self.poll.ready(engine.place).readable {
                self.serve(engine);
            }
            engine.place = NOWHERE;
        }
        engines.retain(|engine| !engine.gone);
        self.engines.append(&mut engines);
    }
}
