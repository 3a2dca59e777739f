//! Give an image one more name.

use std::sync::Arc;

use oci::Reference;

use super::inspect::find;
use crate::blocking::{Class, blocking};
use crate::detached::detached;
use crate::{Engine, Result};

/// Tags.
pub async fn tag(engine: &Arc<Engine>, source: &str, target: Reference) -> Result<()> {
    let image = find(engine, source)?;
    let engine = engine.clone();
    let tagging = move || {
        engine.images.tag(&image, &target)?;
        engine.image_event("tag", &image.id.to_string(), &target.familiar());
        Ok(())
    };
    detached(blocking("tag an image", Class::Disk, tagging)).await
}
