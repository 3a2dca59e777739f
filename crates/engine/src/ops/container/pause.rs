//! Freeze a container's processes, and thaw them.

use std::sync::Arc;

use monitor::protocol::{Reply, Request};

use crate::container::{Container, State};
use crate::task::Task;
use crate::{Engine, Error, Result};

/// Freezes.
pub async fn pause(engine: &Arc<Engine>, reference: &str) -> Result<()> {
    let container = engine.containers.find(reference)?;
    let lease = container.lease().await;
    match &container.now().state {
        State::Running(_) => {}
        State::Paused(_) => {
            return Err(Error::Conflict(format!(
                "container {} is already paused",
                container.id
            )));
        }
        _ => {
            return Err(Error::Conflict(format!(
                "container {} is not running",
                container.id
            )));
        }
    }
    let task = super::kill::task(&container)?;
    ask(&container, &task, Request::Pause).await?;
    lease.paused();
    engine.container_event(&container.now(), "pause", &[]);
    Ok(())
}

/// Thaws.
pub async fn unpause(engine: &Arc<Engine>, reference: &str) -> Result<()> {
    let container = engine.containers.find(reference)?;
    let lease = container.lease().await;
    if !matches!(container.now().state, State::Paused(_)) {
        return Err(Error::Conflict(format!(
            "container {} is not paused",
            container.id
        )));
    }
    let task = super::kill::task(&container)?;
    ask(&container, &task, Request::Resume).await?;
    lease.resumed();
    engine.container_event(&container.now(), "unpause", &[]);
    Ok(())
}

/// Thaws a container that is about to end; no lease is needed, as the exit follows.
pub(super) async fn thaw(container: &Container, task: &Task) -> Result<()> {
    ask(container, task, Request::Resume).await?;
    container.publish(|now| {
        if let State::Paused(running) = &now.state {
            now.state = State::Running(running.clone());
        }
    });
    Ok(())
}

async fn ask(container: &Container, task: &Task, request: Request) -> Result<()> {
    match task.call(request, Vec::new()).await? {
        Reply::Done => Ok(()),
        Reply::NotRunning => Err(Error::Conflict(format!(
            "container {} is not running",
            container.id
        ))),
        Reply::Failed(failure) => Err(Error::Monitor {
            id: container.id.clone(),
            why: failure.message,
        }),
        other => Err(Error::Monitor {
            id: container.id.clone(),
            why: format!("it answered {other:?}"),
        }),
    }
}
