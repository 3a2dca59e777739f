//! Send a signal to a container's first process.

use std::sync::Arc;

use monitor::protocol::{Reply, Request};

use super::stop::{ended_within, stop_signal};
use crate::container::{Container, Signal, State};
use crate::detached::detached;
use crate::task::Task;
use crate::{Engine, Error, Result};

/// How long a killed container may take to end before its monitor is killed too, in seconds.
const PATIENCE: u64 = 10;

/// Sends a signal (KILL by default, which is waited for).
pub async fn kill(engine: &Arc<Engine>, reference: &str, signal: Option<Signal>) -> Result<()> {
    let container = engine.containers.find(reference)?;
    let (engine, reference) = (engine.clone(), reference.to_owned());
    detached(async move {
        let now = container.now();
        if !now.state.is_running() {
            return Err(not_running(&reference, &container));
        }
        match signal.unwrap_or(Signal::KILL) {
            Signal::KILL => kill_and_wait(&engine, &container, now.exits).await,
            other => self::signal(&engine, &container, other).await,
        }
    })
    .await
}

/// KILL, and wait for the end; a monitor that does not report it is killed too.
pub(super) async fn kill_and_wait(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    exits: u64,
) -> Result<()> {
    if let Err(error) = signal(engine, container, Signal::KILL).await
        && container.now().exits == exits
    {
        tracing::warn!(container = %container.id, %error, "kill a container");
    }
    if ended_within(container, exits, Some(PATIENCE)).await {
        return Ok(());
    }
    if let Some(task) = container.task() {
        task.kill();
    }
    if ended_within(container, exits, Some(PATIENCE)).await {
        return Ok(());
    }
    Err(Error::Monitor {
        id: container.id.clone(),
        why: "the container does not end".to_owned(),
    })
}

/// Sends a signal. A frozen process is thawed for one that should end it.
pub(super) async fn signal(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    signal: Signal,
) -> Result<()> {
    let now = container.now();
    let task = task(container)?;
    let request = Request::Signal {
        signal: signal.number(),
        all: false,
    };
    let reply = match task.call(request, Vec::new()).await {
        // Its end is about to be told.
        Err(_) if task.is_gone() => Reply::NotRunning,
        reply => reply?,
    };
    match reply {
        Reply::Done => {}
        Reply::NotRunning => return Err(not_running(now.name.as_str(), container)),
        Reply::Failed(failure) => {
            return Err(Error::Monitor {
                id: container.id.clone(),
                why: failure.message,
            });
        }
        other => {
            return Err(Error::Monitor {
                id: container.id.clone(),
                why: format!("it answered {other:?}"),
            });
        }
    }
    engine.container_event(&now, "kill", &[("signal", &signal.number().to_string())]);
    let ends = signal == Signal::KILL || signal == stop_signal(&now);
    if ends && matches!(now.state, State::Paused(_)) {
        super::pause::thaw(container, &task).await?;
    }
    Ok(())
}

/// The monitor of a container that runs.
pub(super) fn task(container: &Container) -> Result<Arc<Task>> {
    let name = container.now().name.to_string();
    container
        .task()
        .ok_or_else(|| not_running(&name, container))
}

fn not_running(reference: &str, container: &Container) -> Error {
    Error::Conflict(format!(
        "cannot kill container: {reference}: container {} is not running",
        container.id
    ))
}
