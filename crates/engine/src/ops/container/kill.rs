//! Send a signal to a container's first process.

use std::sync::Arc;

use crate::container::Signal;
use crate::{Engine, Result};

/// Sends a signal (KILL by default).
pub async fn kill(engine: &Arc<Engine>, reference: &str, signal: Option<Signal>) -> Result<()> {
    todo!()
}
