//! Untag and delete images.

use std::sync::Arc;

use image::Removed;

use crate::{Engine, Result};

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remove {
    /// Even if a stopped container uses it, or it has several names.
    pub force: bool,
    /// Keep untagged parents.
    pub no_prune: bool,
}

/// Removes an image.
pub async fn remove(engine: &Arc<Engine>, name: &str, how: Remove) -> Result<Vec<Removed>> {
    todo!()
}
