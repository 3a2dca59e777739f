//! Wait until a container stops, ends once more, or is gone.

use std::sync::Arc;

use crate::container::{Published, State};
use crate::{Engine, Result};

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// It does not run: true at once of a stopped container.
    #[default]
    NotRunning,
    /// Its next exit.
    NextExit,
    /// Its removal.
    Removed,
}

/// What was waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waited {
    /// Its exit code.
    pub code: i32,
    /// The error, if the engine has one to tell.
    pub error: Option<String>,
}

/// Begins to wait: the container exists when this returns, and nothing that happens afterwards is missed. The future that it
/// returns ends when the condition holds.
pub fn wait(
    engine: &Arc<Engine>,
    reference: &str,
    condition: Condition,
) -> Result<impl Future<Output = Waited> + Send + 'static + use<>> {
    let container = engine.containers.find(reference)?;
    let exits = container.now().exits;
    let mut changes = container.subscribe();
    Ok(async move {
        let holds = |now: &Arc<Published>| match condition {
            Condition::NotRunning => !now.state.is_running() || now.removed,
            Condition::NextExit => now.exits > exits || now.removed,
            Condition::Removed => now.removed,
        };
        // The sender lives in the container, which this future keeps.
        let state = changes.wait_for(holds).await.map(|now| now.state.clone());
        let state = state.unwrap_or_else(|_| container.now().state.clone());
        let error = match &state {
            State::Exited(exit) if !exit.error.is_empty() => Some(exit.error.clone()),
            _ => None,
        };
        Waited {
            code: state.exit_code(),
            error,
        }
    })
}
