//! Stop a container: ask it, wait, kill it.

use std::sync::Arc;

use crate::container::Signal;
use crate::{Engine, Result};

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
    todo!()
}
