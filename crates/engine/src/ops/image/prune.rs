//! Remove images that nobody uses.

use std::sync::Arc;

use image::{Image, Pruned, Removed};

use super::list::created;
use super::remove::in_use;
use crate::blocking::{Class, blocking};
use crate::detached::detached;
use crate::events::Kind;
use crate::filters::Filters;
use crate::{Engine, Result};

/// Filters that are understood.
const KNOWN: [&str; 4] = ["dangling", "label", "label!", "until"];

/// Prunes: images without a name, or with `dangling=false` all that no container uses.
pub async fn prune(engine: &Arc<Engine>, filters: Filters) -> Result<Pruned> {
    filters.allow(&KNOWN)?;
    let dangling = filters.boolean("dangling")?.unwrap_or(true);
    let until = filters.until()?;
    let engine = engine.clone();
    let pruning = move || {
        let wanted = |image: &Image| {
            (!dangling || (image.repo_tags.is_empty() && image.repo_digests.is_empty()))
                && filters.labels(&image.config.config.labels)
                && until.is_none_or(|until| created(image) < until)
        };
        let pruned = engine.images.prune(&wanted, &|id| in_use(&engine, id))?;
        for removed in &pruned.removed {
            if let Removed::Deleted(id) = removed {
                engine.image_event("delete", id, id);
            }
        }
        engine.prune_event(Kind::Image, pruned.freed);
        Ok(pruned)
    };
    detached(blocking("prune images", Class::Disk, pruning)).await
}
