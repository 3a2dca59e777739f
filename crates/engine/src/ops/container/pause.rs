//! Freeze a container's processes, and thaw them.

use std::sync::Arc;

use crate::{Engine, Result};

/// Freezes.
pub async fn pause(engine: &Arc<Engine>, reference: &str) -> Result<()> {
    todo!()
}

/// Thaws.
pub async fn unpause(engine: &Arc<Engine>, reference: &str) -> Result<()> {
    todo!()
}
