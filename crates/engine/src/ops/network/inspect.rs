//! A network, and who is on it.

use std::sync::Arc;

use network::{Endpoint, Network};

use super::running::endpoints_of;
use crate::container::Published;
use crate::{Engine, Result};

/// A network with the containers that run on it.
pub type Inspected = (Arc<Network>, Vec<(Arc<Published>, Endpoint)>);

/// Looks at a network.
pub fn inspect(engine: &Arc<Engine>, reference: &str) -> Result<Inspected> {
    let network = engine.networks.find(reference)?;
    let endpoints = endpoints_of(engine, &network.record.id);
    Ok((network, endpoints))
}
