//! Make an image of a tar archive.

use std::io::Read;
use std::sync::Arc;

use image::{Description, Image};
use oci::Reference;

use crate::blocking::{Class, blocking};
use crate::detached::detached;
use crate::{Engine, Result};

/// What to make of it.
#[derive(Debug, Default)]
pub struct Import {
    /// Its name.
    pub reference: Option<Reference>,
    /// What is not in the archive.
    pub about: Description,
}

/// Imports an archive; `reader` may block.
pub async fn import(
    engine: &Arc<Engine>,
    mut reader: Box<dyn Read + Send>,
    what: Import,
) -> Result<Arc<Image>> {
    let engine = engine.clone();
    let importing = move || {
        let image = engine
            .images
            .import(&mut reader, what.reference.as_ref(), what.about)?;
        let id = image.id.to_string();
        let name = what
            .reference
            .map_or_else(|| id.clone(), |reference| reference.familiar());
        engine.image_event("import", &id, &name);
        Ok(image)
    };
    detached(blocking("import an image", Class::Stream, importing)).await
}
