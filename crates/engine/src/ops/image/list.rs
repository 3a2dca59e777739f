//! All images that someone wants to see, newest first.

use std::sync::Arc;

use image::Image;

use crate::filters::Filters;
use crate::{Engine, Result};

/// An image and who uses it.
#[derive(Clone, Debug)]
pub struct ImageView {
    /// The image.
    pub image: Arc<Image>,
    /// How many containers were made from it.
    pub containers: usize,
}

/// Lists images.
pub fn list(engine: &Arc<Engine>, filters: &Filters) -> Result<Vec<ImageView>> {
    todo!()
}
