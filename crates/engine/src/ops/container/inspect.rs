//! One container, as it stands.

use std::sync::Arc;

use crate::blocking::{Class, blocking};
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
    let container = engine.containers.find(reference)?;
    let engine = engine.clone();
    blocking("measure a container", Class::Disk, move || {
        let own = engine.snapshots.usage(&container.id)?;
        let image = engine
            .images
            .resolve(&container.now().record.image_id)
            .map_or(0, |image| image.size);
        Ok((own, own + image))
    })
    .await
}
