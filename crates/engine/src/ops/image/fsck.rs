//! Check the store of images, and mend it.

use std::sync::Arc;

use image::fsck::{Report, Users};

use super::remove::in_use;
use crate::blocking::{Class, blocking};
use crate::detached::detached;
use crate::{Engine, Result};

/// Reads everything; with `repair`, mends what it finds or removes it so that the next pull or load makes it anew.
pub async fn fsck(engine: &Arc<Engine>, repair: bool) -> Result<Report> {
    let engine = engine.clone();
    let checking = move || {
        let runs = |id: &str| {
            let found = engine.containers.find(id);
            found.is_ok_and(|container| {
                container.now().state.is_running() || container.root.is_mounted()
            })
        };
        let users = Users {
            of_image: &|id| in_use(&engine, id),
            runs: &runs,
        };
        Ok(engine.images.fsck(&users, repair)?)
    };
    detached(blocking("check the images", Class::Disk, checking)).await
}
