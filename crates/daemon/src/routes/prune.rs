//! Everything that prunes. `docker system prune` asks for all of them, one after the other.

use std::sync::Arc;

use engine::ops::system::prune;

use super::Daemon;
use crate::answer::{Answer, json};
use crate::convert;
use crate::error::Result;
use crate::request::Request;

/// `POST /containers/prune`.
pub async fn containers(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    let filters = convert::filters(&request.query)?;
    let pruned = engine::ops::container::prune(&daemon.engine, filters).await?;
    json(&api::prune::Containers {
        containers_deleted: (!pruned.removed.is_empty()).then_some(pruned.removed),
        space_reclaimed: pruned.freed,
    })
}

/// `POST /images/prune`.
pub async fn images(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    let filters = convert::filters(&request.query)?;
    let pruned = engine::ops::image::prune(&daemon.engine, filters).await?;
    let removed: Vec<_> = pruned
        .removed
        .into_iter()
        .map(convert::images::removed)
        .collect();
    json(&api::prune::Images {
        images_deleted: (!removed.is_empty()).then_some(removed),
        space_reclaimed: pruned.freed,
    })
}

/// `POST /networks/prune`.
pub async fn networks(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    let filters = convert::filters(&request.query)?;
    let removed = engine::ops::network::prune(&daemon.engine, filters).await?;
    json(&api::prune::Networks {
        networks_deleted: (!removed.is_empty()).then_some(removed),
    })
}

/// `POST /volumes/prune`.
pub fn volumes(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    prune::volumes(&daemon.engine, &convert::filters(&request.query)?)?;
    json(&api::prune::Volumes::default())
}

/// `POST /build/prune`: how much is to be kept makes no difference where there is nothing.
pub fn build_cache(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    prune::build_cache(&daemon.engine, &convert::filters(&request.query)?)?;
    json(&api::prune::BuildCache::default())
}
