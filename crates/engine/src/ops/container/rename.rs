//! Rename a container.

use std::sync::Arc;

use crate::{Engine, Result};

/// Gives a container another name.
pub async fn rename(engine: &Arc<Engine>, reference: &str, name: &str) -> Result<()> {
    todo!()
}
