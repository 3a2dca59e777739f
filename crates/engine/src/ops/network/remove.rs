//! Remove a network that nobody is on, and say so.

use std::sync::Arc;

use network::Network;

use super::running::endpoints_of;
use crate::blocking::{Class, blocking};
use crate::detached::detached;
use crate::{Engine, Error, Result};

/// Removes a network by its name or id.
pub async fn remove(engine: &Arc<Engine>, reference: &str) -> Result<()> {
    let network = engine.networks.find(reference)?;
    let engine = engine.clone();
    detached(async move { erase(&engine, network).await }).await
}

/// Removes a network.
pub(super) async fn erase(engine: &Arc<Engine>, network: Arc<Network>) -> Result<()> {
    let active: Vec<String> = endpoints_of(engine, &network.record.id)
        .iter()
        .map(|(now, endpoint)| format!("name:\"{}\" id:\"{}\"", now.name, &endpoint.id[..12]))
        .collect();
    if !active.is_empty() && !network.is_predefined() {
        return Err(Error::Network(network::Error::Forbidden(format!(
            "error while removing network: network {} has active endpoints ({})",
            network.record.name,
            active.join(", ")
        ))));
    }
    let (worker, subject) = (engine.clone(), network.clone());
    blocking("remove a network", Class::Disk, move || {
        worker.networks.remove(&subject)
    })
    .await?;
    engine.network_changed(&network, "destroy");
    Ok(())
}
