//! Push: an image goes to a registry as it came.

use std::sync::Arc;

use bytes::Bytes;
use content::digest_of;
use oci::image::{Descriptor, Document, MAX_DOCUMENT, Manifest};
use oci::{Digest, Reference};
use registry::client::{Repository, Scope};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::step::{Progress, Step};
use super::upload::{Sources, Upload};
use super::{AT_ONCE, Credentials, Remote, blocking};
use crate::image::Origin;
use crate::layers::Pins;
use crate::load::{LAYER, LAYER_GZIP, descriptor};
use crate::{Error, Image, Images, decompress, gzip};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// What to push.
#[derive(Clone, Debug)]
pub struct Push {
    /// Its name; without a tag, every tag of the repository.
    pub reference: Reference,
    /// What the registry is shown.
    pub credentials: Credentials,
}

impl Remote {
    /// Pushes an image, or all of a repository. Goes on until its end or until the other end of `progress` is dropped.
    pub async fn push(self: &Arc<Self>, what: Push, progress: &Progress) -> Result<(), Error> {
        let reference = &what.reference;
        progress.tell(Step::text(format!(
            "The push refers to repository [{}]",
            reference.name()
        )));
        let same = |other: &Reference| {
            (&other.domain, &other.path) == (&reference.domain, &reference.path)
        };
        let tags: Vec<Reference> = {
            let state = self.images.read();
            let names = state.references.keys();
            names
                .filter(|name| name.tag.is_some() && same(name))
                .cloned()
                .collect()
        };
        if tags.is_empty() {
            return Err(Error::NoSuchRepository(reference.familiar_name()));
        }
        let wanted = match &reference.tag {
            None => tags,
            Some(_) if tags.contains(reference) => vec![reference.clone()],
            Some(_) => return Err(Error::NoSuchTag(reference.familiar())),
        };
        let repository = self.repository(reference, &what.credentials, Scope::Push);
        for tagged in wanted {
            tokio::select! {
                pushed = self.push_one(&repository, &tagged, progress) => pushed?,
                error = progress.cancelled() => return Err(error),
            }
        }
        Ok(())
    }

    async fn push_one(
        self: &Arc<Self>,
        repository: &Repository,
        reference: &Reference,
        progress: &Progress,
    ) -> Result<(), Error> {
        let image = self.images.resolve(&reference.to_string())?;
        for diff_id in image.config.rootfs.diff_ids.iter().rev() {
            progress.line(diff_id.short()).say("Preparing");
        }
        // Kept even when the image is removed meanwhile.
        let pins = self.images.layers.pin_blobs(&image.blobs());
        // Each layer goes out as soon as it is what the manifest will name.
        let (sender, layers) = mpsc::unbounded_channel();
        let uploading =
            self.upload_layers(repository, reference, Arc::clone(&image), layers, progress);
        let preparing = {
            let images = Arc::clone(&self.images);
            blocking(move || prepare(&images, &image, pins, &sender))
        };
        let (prepared, uploaded) = tokio::join!(preparing, uploading);
        let Prepared {
            image,
            manifest: bytes,
            _pins,
        } = prepared?;
        let Document::Manifest(manifest) = Document::parse(&bytes)? else {
            return Err(Error::Archive("its manifest is an index".to_owned()));
        };
        uploaded?;
        self.upload_config(repository, &manifest.config).await?;
        let tag = reference
            .tag
            .clone()
            .unwrap_or_else(|| oci::reference::DEFAULT_TAG.to_owned());
        let media_type = if manifest.media_type.is_empty() {
            "application/vnd.oci.image.manifest.v1+json"
        } else {
            &manifest.media_type
        };
        let digest = digest_of(&bytes);
        let size = bytes.len() as u64;
        repository
            .put_manifest(&tag, media_type, Bytes::from(bytes))
            .await?;
        let by_digest = Reference {
            tag: None,
            digest: Some(digest.clone()),
            ..reference.clone()
        };
        let (images, id) = (Arc::clone(&self.images), image.id.clone());
        blocking(move || images.name(&id, &by_digest)).await?;
        progress.tell(Step::text(format!("{tag}: digest: {digest} size: {size}")));
        progress.tell(Step {
            pushed: Some((tag, digest, size)),
            ..Step::default()
        });
        Ok(())
    }

    /// Uploads what the registry does not have, as the layers come.
    async fn upload_layers(
        self: &Arc<Self>,
        repository: &Repository,
        reference: &Reference,
        image: Arc<Image>,
        mut layers: mpsc::UnboundedReceiver<(usize, Descriptor)>,
        progress: &Progress,
    ) -> Result<(), Error> {
        let slots = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        let mut tasks = JoinSet::new();
        while let Some((position, layer)) = layers.recv().await {
            let Some(diff_id) = image.config.rootfs.diff_ids.get(position) else {
                continue;
            };
            let upload = Upload {
                content: Arc::clone(&self.images.content),
                repository: repository.clone(),
                sources: self.sources(reference, &layer.digest),
                blob: layer,
            };
            let line = progress.line(diff_id.short());
            tasks.spawn(upload.run(line, Arc::clone(&slots)));
        }
        while let Some(joined) = tasks.join_next().await {
            joined.map_err(|error| Error::io("push layer")(std::io::Error::other(error)))??;
        }
        Ok(())
    }

    async fn upload_config(
        &self,
        repository: &Repository,
        config: &Descriptor,
    ) -> Result<(), Error> {
        if repository.has_blob(&config.digest).await? {
            return Ok(());
        }
        let content = Arc::clone(&self.images.content);
        let open = move || {
            content
                .open_blob(&config.digest)
                .map_err(std::io::Error::other)
        };
        Ok(repository
            .upload_blob(&config.digest, config.size, open, |_| {})
            .await?)
    }

    /// Other repositories of the same registry that have a layer.
    fn sources(&self, reference: &Reference, blob: &Digest) -> Sources {
        let state = self.images.read();
        let mut found: Vec<String> = state
            .references
            .iter()
            .filter(|(name, _)| name.digest.is_some() && name.domain == reference.domain)
            .filter(|(name, _)| name.path != reference.path)
            .filter(|(_, id)| {
                state
                    .images
                    .get(*id)
                    .is_some_and(|image| image.layers.iter().any(|layer| layer.digest == *blob))
            })
            .map(|(name, _)| name.path.clone())
            .collect();
        found.dedup();
        Sources(found)
    }
}

/// Where the layers go, each with its position, as soon as they are there.
type Layers = mpsc::UnboundedSender<(usize, Descriptor)>;

/// An image that can go out.
struct Prepared {
    image: Arc<Image>,
    /// The bytes of its manifest.
    manifest: Vec<u8>,
    /// Of its blobs.
    _pins: Pins,
}

/// The image with its manifest: the one with which it came, or one that is made now and kept.
///
/// The pins are its own, as it goes on when the push is given up. What it makes is pinned before anybody could sweep it, and
/// the archives that the image came with go last, once the record names others that are there.
fn prepare(
    images: &Images,
    image: &Arc<Image>,
    mut pins: Pins,
    to: &Layers,
) -> Result<Prepared, Error> {
    // Whoever uploads has failed where a send does, and says so.
    let send = |position: usize, layer: &Descriptor| drop(to.send((position, layer.clone())));
    if let Some(manifest) = &image.manifest {
        let bytes = images.content.read(manifest, MAX_DOCUMENT)?;
        for (position, layer) in image.layers.iter().enumerate().rev() {
            send(position, layer);
        }
        return Ok(Prepared {
            image: Arc::clone(image),
            manifest: bytes,
            _pins: pins,
        });
    }
    let diff_ids = &image.config.rootfs.diff_ids;
    let mut layers = Vec::new();
    for (position, diff_id) in diff_ids.iter().enumerate() {
        let layer = image.layers.get(position).ok_or_else(|| Error::NotKept {
            image: image.id.short().to_owned(),
            layer: diff_id.clone(),
        })?;
        let layer = if layer.media_type == LAYER {
            compress(images, layer, &mut pins)?
        } else {
            layer.clone()
        };
        send(position, &layer);
        layers.push(layer);
    }
    let config = images.content.read(&image.id, MAX_DOCUMENT)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        config: descriptor(CONFIG, image.id.clone(), config.len() as u64),
        layers: layers.clone(),
    };
    let bytes = serde_json::to_vec(&manifest)
        .expect("strings, numbers and maps with string keys are always JSON");
    pins.add([digest_of(&bytes).to_string()]);
    let origin = Origin {
        manifest: Some(bytes.clone()),
        layers,
    };
    let made = images.add(&config, origin)?;
    let kept = images.layers.pin_blobs(&made.blobs());
    drop(pins);
    // What was compressed is kept in that form alone.
    images.release(&image.blobs())?;
    Ok(Prepared {
        image: made,
        manifest: bytes,
        _pins: kept,
    })
}

/// Compresses a layer: the same bytes every time. What came in a compression that registries do not know is unpacked first.
fn compress(images: &Images, layer: &Descriptor, pins: &mut Pins) -> Result<Descriptor, Error> {
    let failed = || Error::io("compress layer");
    let mut plain = decompress(images.content.open_blob(&layer.digest)?).map_err(failed())?;
    let mut ingest = images.content.ingest()?;
    gzip::compress(&mut plain, &mut ingest).map_err(failed())?;
    let digest = ingest.digest();
    pins.add([digest.to_string()]);
    let size = ingest.commit(&digest, None)?;
    Ok(descriptor(LAYER_GZIP, digest, size))
}
