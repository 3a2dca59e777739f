//! Untag and delete images.

use std::sync::Arc;

use image::{InUse, Removed, platform};
use oci::Digest;
use oci::image::Platform;
use stdx::ErrorKind;

use super::inspect::{find, missing};
use crate::blocking::{Class, blocking};
use crate::detached::detached;
use crate::{Engine, Error, Result};

/// How to remove.
#[derive(Clone, Debug, Default)]
pub struct Remove {
    /// Even if a stopped container uses it, or it has several names.
    pub force: bool,
    /// Keep untagged parents.
    pub no_prune: bool,
    /// For which machines the image must be.
    pub platforms: Vec<Platform>,
}

/// Removes an image.
pub async fn remove(engine: &Arc<Engine>, name: &str, how: Remove) -> Result<Vec<Removed>> {
    let (engine, name) = (engine.clone(), name.to_owned());
    let removing = move || {
        if !how.platforms.is_empty() {
            platform::check(&*find(&engine, &name)?, &name, &how.platforms)?;
        }
        let id = engine
            .images
            .resolve(&name)
            .map(|image| image.id.to_string());
        let removed = engine
            .images
            .remove(&name, how.force, how.no_prune, &|id| in_use(&engine, id));
        let removed = removed.map_err(|error| match error.kind() {
            ErrorKind::NotFound => missing(&name),
            _ => Error::from(error),
        })?;
        let id = id.unwrap_or_else(|_| name.clone());
        for what in &removed {
            match what {
                Removed::Untagged(_) => engine.image_event("untag", &id, &id),
                Removed::Deleted(deleted) if *deleted == id => {
                    engine.image_event("delete", &id, &id);
                }
                Removed::Deleted(_) => {}
            }
        }
        Ok(removed)
    };
    detached(blocking("remove an image", Class::Disk, removing)).await
}

/// A container that was made from the image; a running one before others.
pub(super) fn in_use(engine: &Engine, id: &Digest) -> Option<InUse> {
    let id = id.to_string();
    let mut users = engine.containers.all();
    users.retain(|container| container.record.image_id == id);
    let found = users
        .iter()
        .find(|user| user.state.is_running())
        .or_else(|| users.first())?;
    Some(InUse {
        container: found.id().to_owned(),
        running: found.state.is_running(),
    })
}
