//! Remove all containers that do not run.

use std::sync::Arc;

use super::remove::erase;
use crate::blocking::{Class, blocking};
use crate::container::Published;
use crate::detached::detached;
use crate::events::Kind;
use crate::filters::Filters;
use crate::{Engine, Result};

/// Filters that are understood.
const KNOWN: [&str; 3] = ["label", "label!", "until"];

/// What a pruning did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Ids of the containers that were removed, newest first.
    pub removed: Vec<String>,
    /// Length of all files of their own layers.
    pub freed: u64,
}

/// Prunes; anonymous volumes stay, as Docker's do.
pub async fn prune(engine: &Arc<Engine>, filters: Filters) -> Result<Pruned> {
    filters.allow(&KNOWN)?;
    let until = filters.until()?;
    let mut wanted = engine.containers.all();
    wanted.retain(|now| {
        !now.state.is_running()
            && until.is_none_or(|until| now.record.created <= until)
            && filters.labels(&now.record.effective.labels)
    });
    wanted.sort_by_key(|now| std::cmp::Reverse(now.record.created));
    let engine = engine.clone();
    detached(async move {
        let mut pruned = Pruned::default();
        for container in wanted {
            if let Some(freed) = remove(&engine, &container).await? {
                pruned.removed.push(container.id().to_owned());
                pruned.freed += freed;
            }
        }
        engine.prune_event(Kind::Container, pruned.freed);
        Ok(pruned)
    })
    .await
}

/// Removes one and says what that frees; nothing where it has been removed or started meanwhile.
async fn remove(engine: &Arc<Engine>, chosen: &Published) -> Result<Option<u64>> {
    let id = chosen.id().to_owned();
    let Ok(container) = engine.containers.find(&id) else {
        return Ok(None);
    };
    let lease = container.lease().await;
    if lease.begin_remove(&id).is_err() {
        return Ok(None);
    }
    let snapshots = engine.snapshots.clone();
    // A tree that cannot be measured is removed all the same.
    let freed = blocking("measure a container", Class::Disk, move || {
        snapshots.usage(&id).unwrap_or(0)
    })
    .await;
    erase(engine, &lease).await?;
    Ok(Some(freed))
}
