//! A monitor's other end: its socket, calls and their replies, and the process itself.
//!
//! One reader takes packets off the socket ([`Task::read`]), gives replies to whoever called and events to `supervise`.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use monitor::protocol::{Call, Event, Message, Reply, Request};
use sys::process::PidFd;
use sys::socket::SeqPacket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot, watch};

use crate::monitors::Monitor;
use crate::{Error, Result};

/// How long a monitor may take to answer. It answers within milliseconds; this is for a host that has come to a halt.
const PATIENCE: Duration = Duration::from_mins(1);

/// The engine's end of a monitor.
#[derive(Debug)]
pub struct Task {
    id: String,
    socket: AsyncFd<SeqPacket>,
    process: Option<Arc<PidFd>>,
    next: AtomicU32,
    calls: Mutex<HashMap<u32, oneshot::Sender<Reply>>>,
    gone: watch::Sender<bool>,
    /// How many events have come, and how many of them were acted upon.
    events: watch::Sender<(u64, u64)>,
}

impl Task {
    /// Takes a monitor that has just got its container; events arrive at the receiver, which closes when it is gone.
    pub(crate) fn new(id: &str, monitor: Monitor) -> Result<(Arc<Self>, Events)> {
        Self::adopt(id, monitor.socket, Some(monitor.process))
    }

    /// Takes the socket of a monitor that another daemon spawned.
    pub fn adopt(
        id: &str,
        socket: SeqPacket,
        process: Option<Arc<PidFd>>,
    ) -> Result<(Arc<Self>, Events)> {
        socket
            .set_nonblocking(true)
            .map_err(Error::io("make the monitor's socket non-blocking"))?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe to call; the socket owns its descriptor and never changes it"
        )]
        let socket = AsyncFd::new(socket).map_err(Error::io("watch the monitor's socket"))?;
        let task = Arc::new(Self {
            id: id.to_owned(),
            socket,
            process,
            next: AtomicU32::new(1),
            calls: Mutex::default(),
            gone: watch::Sender::new(false),
            events: watch::Sender::default(),
        });
        let (sender, receiver) = mpsc::channel(16);
        tokio::spawn(task.clone().read(sender));
        let events = Events {
            task: task.clone(),
            receiver,
            taken: false,
        };
        Ok((task, events))
    }

    /// Asks the monitor for something, handing over descriptors, and waits for its answer.
    pub async fn call(&self, request: Request, fds: Vec<OwnedFd>) -> Result<Reply> {
        self.ask(request, fds).await?.answer().await
    }

    /// Asks the monitor for something, handing over descriptors. It acts in the order in which it was asked, and on what it
    /// was asked before it had its container as soon as it has.
    pub(crate) async fn ask(&self, request: Request, fds: Vec<OwnedFd>) -> Result<Asked<'_>> {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(seq, sender);
        let asked = Asked {
            task: self,
            seq,
            receiver,
        };
        // Asked after the call is on the list: the reader says so before it clears the list. Not asked again once it was
        // sent: a monitor may answer and be gone before its caller looks.
        if self.is_gone() {
            return Err(self.error("it is gone".to_owned()));
        }
        let call = Call { seq, request };
        let packet = postcard::to_allocvec(&call)
            .map_err(|error| self.error(format!("encode request: {error}")))?;
        let sent = self.socket.async_io(Interest::WRITABLE, |socket| {
            let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
            socket.send(&packet, &fds)
        });
        sent.await
            .map_err(|error| self.error(format!("send request: {error}")))?;
        Ok(asked)
    }

    /// Waits until everything that the monitor has told by now is known to the engine. One that is gone tells no more.
    ///
    /// A client that saw the end of a stream asks for the exit code at once, and may be faster than the event.
    pub async fn settle(&self) {
        drop(self.call(Request::State, Vec::new()).await);
        let (come, _) = *self.events.borrow();
        let mut events = self.events.subscribe();
        let acted = events.wait_for(|(_, acted)| *acted >= come);
        drop(tokio::time::timeout(PATIENCE, acted).await);
    }

    /// Ends the monitor at once; its container ends with it.
    pub fn kill(&self) {
        if let Some(process) = &self.process {
            // It may have ended by itself, which is as good.
            drop(process.send_signal(9));
        }
    }

    /// Waits until the monitor has closed its end.
    pub async fn gone(&self) {
        let mut gone = self.gone.subscribe();
        // An error would mean that the task itself is gone.
        drop(gone.wait_for(|gone| *gone).await);
    }

    /// The monitor has closed its end.
    pub fn is_gone(&self) -> bool {
        *self.gone.borrow()
    }

    async fn read(self: Arc<Self>, events: mpsc::Sender<Event>) {
        loop {
            let packet = match self.receive().await {
                Ok(packet) if !packet.is_empty() => packet,
                _ => break,
            };
            match postcard::from_bytes(&packet) {
                Ok(Message::Reply(seq, reply)) => {
                    if let Some(caller) = self.lock().remove(&seq) {
                        // A caller that gave up is no longer interested.
                        drop(caller.send(reply));
                    }
                }
                Ok(Message::Event(event)) => {
                    self.events.send_modify(|(come, _)| *come += 1);
                    if events.send(event).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(container = %self.id, %error, "a packet of the monitor makes no sense");
                }
            }
        }
        self.gone.send_replace(true);
        self.lock().clear();
    }

    async fn receive(&self) -> io::Result<Vec<u8>> {
        self.socket
            .async_io(Interest::READABLE, |socket| {
                let mut packet = Vec::new();
                match socket.recv(&mut packet) {
                    // Once, from a monitor that ended before it read all requests: what it has said is still there.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                        socket.recv(&mut packet)?
                    }
                    other => other?,
                };
                Ok(packet)
            })
            .await
    }

    fn error(&self, why: String) -> Error {
        Error::Monitor {
            id: self.id.clone(),
            why,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, oneshot::Sender<Reply>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a monitor tells, in its order. An event was acted upon when the next one is asked for.
#[derive(Debug)]
pub struct Events {
    task: Arc<Task>,
    receiver: mpsc::Receiver<Event>,
    taken: bool,
}

impl Events {
    /// The next event; none once the monitor is gone.
    pub async fn recv(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.taken) {
            self.task.events.send_modify(|(_, acted)| *acted += 1);
        }
        let event = self.receiver.recv().await;
        self.taken = event.is_some();
        event
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // Nobody acts upon the rest: nobody has to wait for that.
        self.task.events.send_modify(|(_, acted)| *acted = u64::MAX);
    }
}

/// What a monitor was asked: off the list however its caller ends.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    task: &'a Task,
    seq: u32,
    receiver: oneshot::Receiver<Reply>,
}

impl Asked<'_> {
    /// Waits for the answer.
    pub(crate) async fn answer(mut self) -> Result<Reply> {
        match tokio::time::timeout(PATIENCE, &mut self.receiver).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(self.task.error("it went away without an answer".to_owned())),
            Err(_) => {
                let late = format!("no answer within {} s", PATIENCE.as_secs());
                Err(self.task.error(late))
            }
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.task.lock().remove(&self.seq);
    }
}

#[cfg(test)]
mod tests;
