//! Attach a client: its connection goes to the monitor, or waits for the start.
//!
//! ```text
//! daemon: prepare ─> answers 101 ─> (logs, if asked) ─> Prepared::connect(fd)
//! start:  ... waits for those prepared ─> hands them over ─> Start
//! ```
//!
//! A place is kept from `prepare` on, so a start that the client sends right after the 101 does not overtake its connection.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use monitor::protocol::{self, Reply, Request};
use tokio::sync::oneshot;

use crate::container::{Container, State};
use crate::task::{Asked, Task};
use crate::{Engine, Error, Result};

/// How long a start waits for a client that was promised a place.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a client attaches.
#[derive(Clone, Debug, Default)]
pub struct Attach {
    /// Send its input.
    pub stdin: bool,
    /// Wants stdout.
    pub stdout: bool,
    /// Wants stderr.
    pub stderr: bool,
    /// Instead of ctrl-p ctrl-q; parsed bytes.
    pub detach_keys: Option<Vec<u8>>,
}

/// A client that was promised a place.
#[derive(Debug)]
pub struct Prepared {
    /// The container has a terminal: the stream is raw, not framed.
    pub tty: bool,
    container: Arc<Container>,
    attach: Attach,
    place: oneshot::Sender<Connected>,
}

/// A client's place in the queue for the start.
#[derive(Debug)]
pub(crate) enum Pending {
    /// Promised: its connection comes.
    Promised(oneshot::Receiver<Connected>),
    /// There.
    Connected(Connected),
}

/// A client's connection and what it wants.
#[derive(Debug)]
pub(crate) struct Connected {
    connection: OwnedFd,
    attach: protocol::Attach,
}

/// Keeps a place for a client. The container need not run.
pub fn prepare(engine: &Arc<Engine>, reference: &str, attach: Attach) -> Result<Prepared> {
    let container = engine.containers.find(reference)?;
    let now = container.now();
    if matches!(now.state, State::Paused(_)) {
        return Err(Error::Conflict(format!(
            "container {reference} is paused, unpause the container before attach"
        )));
    }
    let (place, promised) = oneshot::channel();
    container.add_pending(Pending::Promised(promised));
    engine.container_event(&now, "attach", &[]);
    Ok(Prepared {
        tty: now.record.spec.tty,
        container,
        attach,
        place,
    })
}

impl Prepared {
    /// Hands the client's connection over; `early_input` is what it sent before.
    pub async fn connect(self, connection: OwnedFd, early_input: Vec<u8>) -> Result<()> {
        let Self {
            container,
            attach,
            place,
            ..
        } = self;
        let attach = protocol::Attach {
            stdin: attach.stdin && container.now().record.spec.open_stdin,
            stdout: attach.stdout,
            stderr: attach.stderr,
            detach_keys: attach.detach_keys,
            early_input,
        };
        // A container that was removed meanwhile has let go of its queue: the connection is closed with the value.
        drop(place.send(Connected { connection, attach }));
        if container.task().is_some() {
            deliver(&container).await;
        }
        Ok(())
    }
}

/// Waits a moment for clients that were promised a place before the start.
pub(crate) async fn gather(container: &Container) {
    for pending in container.take_pending() {
        let connected = match pending {
            Pending::Connected(connected) => Ok(connected),
            Pending::Promised(mut promised) => {
                match tokio::time::timeout(PATIENCE, &mut promised).await {
                    Ok(Ok(connected)) => Ok(connected),
                    // It gave up.
                    Ok(Err(_)) => continue,
                    Err(_) => Err(promised),
                }
            }
        };
        container.add_pending(match connected {
            Ok(connected) => Pending::Connected(connected),
            Err(promised) => Pending::Promised(promised),
        });
    }
}

/// Hands those that are there to the monitor; the others stay in the queue.
pub(crate) async fn deliver(container: &Container) {
    if let Some(task) = container.task() {
        let handed = hand_over(container, &task).await;
        answered(container, handed).await;
    }
}

/// Asks the monitor to take those that are there: it does so before what it is asked next.
pub(crate) async fn hand_over<'a>(container: &Container, task: &'a Task) -> Vec<Result<Asked<'a>>> {
    let mut handed = Vec::new();
    for pending in container.take_pending() {
        let connected = match pending {
            Pending::Connected(connected) => connected,
            Pending::Promised(mut promised) => match promised.try_recv() {
                Ok(connected) => connected,
                Err(oneshot::error::TryRecvError::Empty) => {
                    container.add_pending(Pending::Promised(promised));
                    continue;
                }
                Err(oneshot::error::TryRecvError::Closed) => continue,
            },
        };
        let (attach, connection) = (connected.attach, vec![connected.connection]);
        handed.push(task.ask(Request::Attach(attach), connection).await);
    }
    handed
}

/// Waits until the monitor has them.
pub(crate) async fn answered(container: &Container, handed: Vec<Result<Asked<'_>>>) {
    for asked in handed {
        let answer = match asked {
            Ok(asked) => asked.answer().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(Reply::Done) => {}
            // It has ended in the meantime: the client sees the end of its stream.
            other => {
                tracing::debug!(container = %container.id, ?other, "a client was not attached");
            }
        }
    }
}
