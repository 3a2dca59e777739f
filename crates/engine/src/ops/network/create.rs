//! Create a network: make its record and its bridge, say so.

use std::sync::Arc;

use network::Create;

use crate::blocking::{Class, blocking};
use crate::detached::detached;
use crate::{Engine, Result};

/// Creates a network; its id.
pub async fn create(engine: &Arc<Engine>, create: Create) -> Result<String> {
    let engine = engine.clone();
    detached(async move {
        let worker = engine.clone();
        let network = blocking("create a network", Class::Disk, move || {
            worker.networks.create(create)
        })
        .await?;
        engine.network_changed(&network, "create");
        Ok(network.record.id.clone())
    })
    .await
}
