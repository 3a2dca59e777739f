//! Load images from an archive.

use std::io::Read;
use std::sync::Arc;

use image::Loaded;
use tokio::sync::mpsc;

use crate::{Engine, Result};

/// Loads an archive (docker-archive or OCI layout, compressed or not); `reader` may block. What has been loaded is sent to
/// `progress` as it comes.
pub async fn load(
    engine: &Arc<Engine>,
    reader: Box<dyn Read + Send>,
    progress: mpsc::UnboundedSender<Loaded>,
) -> Result<()> {
    todo!()
}
