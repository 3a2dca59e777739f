//! One container, as it stands.

use std::sync::Arc;

use crate::container::{Container, Published};
use crate::{Engine, Result};

/// A container and its files. Never waits.
pub fn inspect(engine: &Arc<Engine>, reference: &str) -> Result<(Arc<Container>, Arc<Published>)> {
    let container = engine.containers.find(reference)?;
    let published = container.now();
    Ok((container, published))
}

/// Bytes of its own layer, and of its whole tree.
pub async fn size(engine: &Arc<Engine>, reference: &str) -> Result<(u64, u64)> {
    todo!()
}
