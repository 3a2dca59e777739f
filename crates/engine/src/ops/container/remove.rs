//! Remove a container: claim it, end it if forced, forget it, say so; its tree is deleted behind the answer.

use std::sync::Arc;

use crate::{Engine, Result};

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remove {
    /// Kill it if it runs.
    pub force: bool,
    /// Remove its anonymous volumes.
    pub volumes: bool,
}

/// Removes a container.
pub async fn remove(engine: &Arc<Engine>, reference: &str, how: Remove) -> Result<()> {
    todo!()
}
