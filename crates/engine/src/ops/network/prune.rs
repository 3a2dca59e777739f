//! Remove the networks that nobody is on.

use std::sync::Arc;

use super::running::endpoints_of;
use crate::detached::detached;
use crate::events::Kind;
use crate::filters::Filters;
use crate::{Engine, Result};

/// Filters that are understood.
const KNOWN: [&str; 3] = ["label", "label!", "until"];

/// Removes what is unused and fits the filters; the names of what went.
pub async fn prune(engine: &Arc<Engine>, filters: Filters) -> Result<Vec<String>> {
    filters.allow(&KNOWN)?;
    let until = filters.until()?;
    let engine = engine.clone();
    detached(async move {
        let mut removed = Vec::new();
        for network in engine.networks.all() {
            let record = &network.record;
            let wanted = !network.is_predefined()
                && until.is_none_or(|until| record.created < until)
                && filters.labels(&record.labels)
                && endpoints_of(&engine, &record.id).is_empty();
            if !wanted {
                continue;
            }
            match super::remove::erase(&engine, network.clone()).await {
                Ok(()) => removed.push(record.name.clone()),
                // Somebody has come in between: it is used.
                Err(error) => tracing::warn!(network = %record.name, %error, "prune a network"),
            }
        }
        engine.prune_event(Kind::Network, 0);
        Ok(removed)
    })
    .await
}
