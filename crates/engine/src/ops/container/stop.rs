//! Stop a container: ask it, wait, kill it.

use std::sync::Arc;
use std::time::Duration;

use crate::container::spec::defaults;
use crate::container::{Container, Published, Signal};
use crate::detached::detached;
use crate::steps::step;
use crate::{Engine, Error, Result};

/// How to stop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stop {
    /// Instead of the container's own stop signal.
    pub signal: Option<Signal>,
    /// Seconds before KILL, instead of the container's own; negative: wait forever.
    pub timeout: Option<i64>,
}

/// Stops a container; `NotModified` if it does not run.
pub async fn stop(engine: &Arc<Engine>, reference: &str, how: Stop) -> Result<()> {
    let container = engine.containers.find(reference)?;
    let (engine, reference) = (engine.clone(), reference.to_owned());
    detached(async move { end(&engine, &container, &reference, how).await }).await
}

async fn end(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    reference: &str,
    how: Stop,
) -> Result<()> {
    let now = container.now();
    if !now.state.is_running() {
        return Err(Error::NotModified(format!(
            "container {reference} is already stopped"
        )));
    }
    let exits = now.exits;
    let signal = how.signal.unwrap_or_else(|| stop_signal(&now));
    // A signal that cannot be delivered is as one that is ignored: what counts is that the container ends.
    if let Err(error) = super::kill::signal(engine, container, signal).await {
        tracing::debug!(container = %container.id, %error, "the stop signal was not delivered");
    }
    step("stop.signalled");
    let timeout = how
        .timeout
        .or(now.record.spec.stop_timeout)
        .unwrap_or(defaults::STOP_TIMEOUT);
    if !ended_within(container, exits, u64::try_from(timeout).ok()).await {
        super::kill::kill_and_wait(engine, container, exits).await?;
    }
    engine.container_event(&container.now(), "stop", &[]);
    Ok(())
}

/// The container's own stop signal.
pub(super) fn stop_signal(now: &Published) -> Signal {
    now.record.effective.stop_signal.unwrap_or(Signal::TERM)
}

/// Waits for the end of the run that was the `exits`-th; `None`: without limit.
pub(super) async fn ended_within(container: &Container, exits: u64, seconds: Option<u64>) -> bool {
    let mut changes = container.subscribe();
    let ended = changes.wait_for(|now| now.exits > exits || !now.state.is_running() || now.removed);
    match seconds {
        Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), ended)
            .await
            .is_ok(),
        None => ended.await.is_ok(),
    }
}
