//! Load images from an archive.

use std::io::Read;
use std::sync::Arc;

use image::Loaded;
use oci::image::Platform;
use tokio::sync::mpsc;

use crate::blocking::{Class, blocking};
use crate::detached::detached;
use crate::{Engine, Result};

/// Loads an archive (docker-archive or OCI layout, compressed or not), of it only what is for one of the platforms if any
/// are given; `reader` may block. What has been loaded is sent to
/// `progress` as it comes.
pub async fn load(
    engine: &Arc<Engine>,
    mut reader: Box<dyn Read + Send>,
    platforms: Vec<Platform>,
    progress: mpsc::UnboundedSender<Loaded>,
) -> Result<()> {
    let engine = engine.clone();
    let loading = move || {
        let mut tell = |loaded: Loaded| {
            let name = match &loaded {
                Loaded::Image(name) => Some(name.clone()),
                Loaded::Id(id) => Some(id.to_string()),
                Loaded::Renamed { .. } => None,
            };
            if let Some(name) = name {
                let id = engine
                    .images
                    .resolve(&name)
                    .map_or_else(|_| name.clone(), |image| image.id.to_string());
                engine.image_event("load", &id, &name);
            }
            // Whoever asked may have gone; the images are loaded all the same.
            drop(progress.send(loaded));
        };
        Ok(engine.images.load(&mut reader, &platforms, &mut tell)?)
    };
    detached(blocking("load images", Class::Stream, loading)).await
}
