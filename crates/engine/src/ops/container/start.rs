//! Start a container: claim it, mount its root, connect it, write its bundle, run it, say so.

use std::sync::Arc;

use crate::{Engine, Result};

/// Starts a container; `NotModified` if it runs.
pub async fn start(engine: &Arc<Engine>, reference: &str) -> Result<()> {
    todo!()
}
