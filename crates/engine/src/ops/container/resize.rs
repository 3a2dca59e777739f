//! Resize a container's terminal.

use std::sync::Arc;

use crate::{Engine, Result};

/// Resizes.
pub async fn resize(engine: &Arc<Engine>, reference: &str, rows: u16, columns: u16) -> Result<()> {
    todo!()
}
