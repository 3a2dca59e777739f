//! Make an image of a tar archive.

use std::io::Read;
use std::sync::Arc;

use image::{Image, ImageConfigChanges};
use oci::Reference;

use crate::{Engine, Result};

/// What to make of it.
#[derive(Debug, Default)]
pub struct Import {
    /// Its name.
    pub reference: Option<Reference>,
    /// Changes of the configuration.
    pub changes: ImageConfigChanges,
    /// The comment in its history.
    pub message: String,
}

/// Imports an archive; `reader` may block.
pub async fn import(engine: &Arc<Engine>, reader: Box<dyn Read + Send>, what: Import) -> Result<Arc<Image>> {
    todo!()
}
