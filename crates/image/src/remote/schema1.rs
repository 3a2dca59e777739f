//! Images of schema 1: the layers first, then what the image is.
//!
//! What a layer unpacks to is nowhere said, so it is read once for that before it is unpacked like any other.

use std::io::Read as _;
use std::sync::Arc;

use content::Hasher;
use oci::image::Descriptor;
use oci::{Digest, Schema1};
use registry::client::Repository;
use tokio::task::JoinSet;

use super::layer::show;
use super::pull::{Parts, check_depth};
use super::step::Progress;
use super::{Remote, blocking};
use crate::layers::Pins;
use crate::load::{LAYER_GZIP, descriptor};
use crate::{Error, Image, Images, decompress};

/// Bytes that are read at a time.
const PIECE: usize = 128 * 1024;

impl Remote {
    /// Fetches the layers, makes the configuration, and of both the image.
    pub(super) async fn get_old(
        self: &Arc<Self>,
        repository: &Repository,
        old: &Schema1,
        progress: &Progress,
    ) -> Result<(Arc<Image>, Pins), Error> {
        check_depth(old.layers.len())?;
        let pins = self.images.layers.pin_blobs(&old.layers);
        let fetched = tokio::select! {
            fetched = self.fetch(repository, &old.layers, progress) => fetched,
            error = progress.cancelled() => Err(error),
        };
        let (layers, diff_ids) = match fetched {
            Ok(fetched) => fetched,
            Err(error) => {
                drop(pins);
                self.clean(&error, old.layers.clone()).await;
                return Err(error);
            }
        };
        let parts = Parts {
            config: old.config(&diff_ids),
            layers,
            manifest: None,
        };
        self.make(repository, parts, progress).await
    }

    /// Downloads the layers at once; returns them, and what they unpack to.
    async fn fetch(
        &self,
        repository: &Repository,
        digests: &[Digest],
        progress: &Progress,
    ) -> Result<(Vec<Descriptor>, Vec<Digest>), Error> {
        let mut layers = Vec::new();
        for digest in digests {
            let size = repository.blob_size(digest).await?;
            let size = size.ok_or_else(|| {
                Error::Archive(format!(
                    "the registry does not say how long blob {digest} is"
                ))
            })?;
            layers.push(descriptor(LAYER_GZIP, digest.clone(), size));
        }
        let mut downloads = Vec::new();
        // Ended with this function.
        let mut lines = JoinSet::new();
        for layer in &layers {
            let download = self.download(repository, layer, progress).await?;
            if let Some(download) = &download {
                let (mut state, size) = (download.state.clone(), layer.size);
                let mut line = progress.line(layer.digest.short());
                lines.spawn(async move { show(&mut state, &mut line, size).await });
            }
            downloads.push(download);
        }
        let mut diff_ids = Vec::new();
        for (layer, download) in layers.iter().zip(downloads) {
            if let Some(mut download) = download {
                download.done().await?;
            }
            let (images, digest) = (Arc::clone(&self.images), layer.digest.clone());
            diff_ids.push(blocking(move || diff_id(&images, &digest)).await?);
        }
        Ok((layers, diff_ids))
    }
}

fn diff_id(images: &Images, blob: &Digest) -> Result<Digest, Error> {
    let failed = || Error::io("read layer");
    let most = images.layers.limits.bytes;
    let blob = images.content.open_blob(blob)?;
    let mut reader = decompress(blob).map_err(failed())?.take(most + 1);
    let mut hasher = Hasher::default();
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece).map_err(failed())? {
            0 if reader.limit() == 0 => {
                return Err(Error::Archive(format!(
                    "a layer is larger than {most} bytes"
                )));
            }
            0 => return Ok(hasher.finish()),
            length => hasher.update(&piece[..length]),
        }
    }
}
