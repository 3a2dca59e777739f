//! One image.

use std::slice;
use std::sync::Arc;

use image::{Image, platform};
use oci::image::Platform;
use stdx::ErrorKind;

use crate::{Engine, Error, Result};

/// An image by reference, id or prefix of an id, which must be for a platform if one is given.
pub async fn inspect(
    engine: &Arc<Engine>,
    name: &str,
    platform: Option<&Platform>,
) -> Result<Arc<Image>> {
    let image = find(engine, name)?;
    platform::check(&image, name, platform.map_or(&[], slice::from_ref))?;
    Ok(image)
}

/// Finds an image, or says that there is none in Docker's words.
pub(super) fn find(engine: &Engine, name: &str) -> Result<Arc<Image>> {
    engine
        .images
        .resolve(name)
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => missing(name),
            _ => error.into(),
        })
}

/// Names are told in full, with their tag.
pub(super) fn missing(name: &str) -> Error {
    let named = name.parse::<oci::Reference>().map_or_else(
        |_| name.to_owned(),
        |reference| reference.with_default_tag().familiar(),
    );
    Error::NoSuchImage(named)
}
