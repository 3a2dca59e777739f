//! One image.

use std::sync::Arc;

use image::Image;

use crate::{Engine, Result};

/// An image by reference, id or prefix of an id.
pub async fn inspect(engine: &Arc<Engine>, name: &str) -> Result<Arc<Image>> {
    todo!()
}
