//! Start a container: claim it, mount its root, connect it, write its bundle, run it, say so.
//!
//! ```text
//! lease ─> blocking: mount, users, network, /etc files, bundle, plan, hand over to a monitor
//!       ─> clients that attached before, Start ─> Created ─> Started ─> Running ─> answer ─> record
//! ```
//!
//! Nothing on this path waits for a disk. Whatever fails, all before it is taken back, last step first.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use monitor::protocol::{Event, Failure, Reply, Request};
use network::{Endpoint, Port};
use stdx::Undo;

use super::attach;
use crate::blocking::{Class, blocking, blocking_then};
use crate::container::Container;
use crate::container::lease::{Lease, Starting};
use crate::container::state::{Running, StartFailure};
use crate::detached::detached;
use crate::steps::step;
use crate::supervise;
use crate::task::{Events, Task};
use crate::{Engine, Error, Result};

pub(crate) mod etc;
mod failure;
mod launch;

pub(crate) use failure::{exec_failed, start_failed};
pub(crate) use launch::exec_process;
pub(super) use launch::mount_root;

/// How long a host that has come to a halt may take to create a container.
const PATIENCE: Duration = Duration::from_mins(2);

/// Starts a container; `NotModified` if it runs.
pub async fn start(engine: &Arc<Engine>, reference: &str) -> Result<()> {
    let container = engine.containers.find(reference)?;
    let (engine, reference) = (engine.clone(), reference.to_owned());
    detached(async move { start_leased(&engine, container.lease().await, &reference).await }).await
}

async fn start_leased(engine: &Arc<Engine>, lease: Lease, reference: &str) -> Result<()> {
    let starting = lease.begin_start(reference)?;
    let container = starting.container().clone();
    step("start.leased");
    if let Some(former) = container.former() {
        // The monitor of the former run is on its way out; its clean-up must not meet this run's beginning.
        former.gone().await;
        supervise::clean_up(engine, &container).await;
    }
    let mut undo = Undo::default();
    match run(engine, &container, &mut undo).await {
        Ok(run) => {
            undo.keep();
            let lease = starting.commit(run.running, run.endpoints, run.ports);
            step("start.running");
            say_started(engine, &container);
            attach::deliver(&container).await;
            tokio::spawn(supervise::supervise(engine.clone(), container, run.events));
            record_behind(lease);
            Ok(())
        }
        Err(error) => Err(failed(engine, starting, undo, error).await),
    }
}

/// What runs.
struct Run {
    running: Running,
    endpoints: Vec<Endpoint>,
    ports: Vec<Port>,
    events: Events,
}

async fn run(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    undo: &mut Undo<'static>,
) -> Result<Run> {
    let (spawner, subject, mut steps) = (engine.clone(), container.clone(), std::mem::take(undo));
    let (launched, steps) = blocking_then("launch a container", Class::Kernel, move || {
        let launched = launch::launch(&spawner, &subject, &mut steps);
        ((launched, steps), move || spawner.taken_from_pools())
    })
    .await;
    *undo = steps;
    let launched = launched?;
    let (task, mut events) = Task::new(&container.id, launched.monitor)?;
    container.set_task(Some(task.clone()));
    let forgotten = container.clone();
    undo.push("forget the monitor", move || {
        forgotten.set_task(None);
        Ok(())
    });
    // Asked for while the monitor makes the container: then nobody waits for another round.
    attach::gather(container).await;
    let handed = attach::hand_over(container, &task).await;
    let started_at = SystemTime::now();
    let start = task.ask(Request::Start, Vec::new()).await;
    // A monitor that could not be asked has said why.
    let pid = created(container, &mut events).await?;
    step("start.created");
    attach::answered(container, handed).await;
    match start?.answer().await? {
        Reply::Started { .. } | Reply::Done => {}
        Reply::Failed(failure) => return Err(start_failed(&failure)),
        other => {
            let what = format!("said {other:?} instead of starting it");
            return Err(wrong(container, &what));
        }
    }
    step("start.started");
    Ok(Run {
        running: Running { pid, started_at },
        endpoints: launched.endpoints,
        ports: launched.ports,
        events,
    })
}

/// Waits until the monitor has made the container; gives the pid of its init.
async fn created(container: &Container, events: &mut Events) -> Result<i32> {
    match tokio::time::timeout(PATIENCE, events.recv()).await {
        Ok(Some(Event::Created { pid, warnings })) => {
            for warning in warnings {
                tracing::warn!(container = %container.id, "{warning}");
            }
            Ok(pid)
        }
        Ok(Some(Event::Failed(failure))) => Err(start_failed(&failure)),
        Ok(Some(other)) => Err(wrong(container, &format!("said {other:?} too early"))),
        Ok(None) => Err(wrong(container, "ended before its init was there")),
        Err(_) => {
            let late = format!("has made no init for {} seconds", PATIENCE.as_secs());
            Err(wrong(container, &late))
        }
    }
}

/// A monitor that did not do its part.
fn wrong(container: &Container, what: &str) -> Error {
    let failure = Failure {
        stage: monitor::protocol::Stage::Setup,
        errno: 0,
        message: format!("the monitor of container {} {what}", container.id),
    };
    start_failed(&failure)
}

/// Takes everything back, and leaves the reason with the container.
async fn failed(
    engine: &Arc<Engine>,
    starting: Starting,
    undo: Undo<'static>,
    error: Error,
) -> Error {
    let container = starting.container().clone();
    let code = if let Error::Start { code, .. } = &error {
        *code
    } else {
        128
    };
    let failure = StartFailure {
        code,
        error: error.to_string(),
    };
    let task = container.task();
    let error = blocking("take back a start", Class::Kernel, move || {
        error.undone(undo)
    })
    .await;
    if let Some(task) = task {
        task.gone().await;
    }
    supervise::clean_up(engine, &container).await;
    // Clients that attached before see the end of their stream.
    drop(container.take_pending());
    let lease = starting.fail(failure);
    if container.now().record.spec.auto_remove {
        if let Err(more) = super::remove::erase(engine, &lease).await {
            tracing::warn!(container = %container.id, error = %more, "remove after a failed start");
        }
    } else {
        record_behind(lease);
    }
    error
}

fn say_started(engine: &Engine, container: &Container) {
    let now = container.now();
    for endpoint in &now.endpoints {
        engine.network_event(endpoint, "connect", &container.id);
    }
    engine.container_event(&now, "start", &[]);
}

/// Writes the record after the answer: the run directory says until then what has to be known after a crash. The lease is
/// kept so long, so that records are written in the order of what happened.
fn record_behind(lease: Lease) {
    let now = lease.container().now();
    if now.record.spec.auto_remove {
        return;
    }
    let path = lease.container().paths.record();
    tokio::spawn(async move {
        let saved = blocking("record a start", Class::Disk, move || {
            store::save(&path, &now.stored(), false)
        })
        .await;
        if let Err(error) = saved {
            tracing::warn!(container = %lease.container().id, %error, "the record was not written");
        }
        step("start.recorded");
        drop(lease);
    });
}
