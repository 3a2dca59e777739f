//! All networks that someone wants to see. Never waits.

use std::sync::Arc;

use network::Network;

use super::running::endpoints_of;
use crate::filters::Filters;
use crate::{Engine, Error, Result};

/// Filters that are understood.
const KNOWN: [&str; 8] = [
    "name", "id", "driver", "scope", "type", "dangling", "label", "label!",
];

/// Lists networks.
pub fn list(engine: &Arc<Engine>, filters: &Filters) -> Result<Vec<Arc<Network>>> {
    filters.allow(&KNOWN)?;
    let dangling = filters.boolean("dangling")?;
    if let Some(wrong) = filters
        .values("type")
        .iter()
        .find(|value| !["builtin", "custom"].contains(&value.as_str()))
    {
        return Err(Error::Invalid(format!("invalid filter: 'type'='{wrong}'")));
    }
    let mut networks = engine.networks.all();
    networks.retain(|network| {
        let record = &network.record;
        let kind = if network.is_predefined() {
            "builtin"
        } else {
            "custom"
        };
        let unused = || !network.is_predefined() && endpoints_of(engine, &record.id).is_empty();
        filters.any("name", |part| record.name.contains(part))
            && filters.any("id", |part| record.id.contains(part))
            && filters.any("driver", |driver| record.driver.as_str() == driver)
            && filters.any("scope", |scope| scope == "local")
            && filters.any("type", |wanted| wanted == kind)
            && filters.labels(&record.labels)
            && dangling.is_none_or(|wanted| wanted == unused())
    });
    Ok(networks)
}
