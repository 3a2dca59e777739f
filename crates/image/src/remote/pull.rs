//! Pull: a name becomes an image.

use std::sync::Arc;

use content::digest_of;
use oci::image::{Descriptor, Platform};
use oci::{Digest, ImageConfig, Reference};
use registry::client::{Repository, Scope};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::download::Download;
use super::layer::{Layer, Shared};
use super::resolve::{self, Answer, Found, Root, tag_or_digest};
use super::step::{Progress, Step};
use super::unpack::Place;
use super::{Credentials, Remote, blocking};
use crate::image::Origin;
use crate::layers::{Pins, chain_ids};
use crate::load::check_count;
use crate::{Error, Image, platform};

/// What to pull.
#[derive(Clone, Debug)]
pub struct Pull {
    /// Its name.
    pub reference: Reference,
    /// For which machine; this one when none is given.
    pub platform: Option<Platform>,
    /// What the registry is shown.
    pub credentials: Credentials,
}

/// What came of a pull.
#[derive(Debug)]
pub struct Pulled {
    /// The image.
    pub image: Arc<Image>,
    /// Of what the name points at in the registry.
    pub digest: Digest,
    /// Whether the name pointed elsewhere here, or nowhere.
    pub newer: bool,
}

/// What an image is made of.
#[derive(Debug)]
pub(super) struct Parts {
    /// The configuration's bytes.
    pub(super) config: Vec<u8>,
    pub(super) layers: Vec<Descriptor>,
    /// The manifest's; none where it was of schema 1, which is not written again.
    pub(super) manifest: Option<Vec<u8>>,
}

impl Remote {
    /// Pulls an image. Goes on until its end or until the other end of `progress` is dropped.
    pub async fn pull(self: &Arc<Self>, what: Pull, progress: &Progress) -> Result<Pulled, Error> {
        let reference = what.reference.with_default_tag();
        let wanted = what.platform.unwrap_or_else(platform::own);
        let repository = self.repository(&reference, &what.credentials, Scope::Pull);
        let name = tag_or_digest(&reference);
        let found = {
            let finding = async {
                let root = Root::get(&repository, name).await?;
                progress.tell(Step::about(
                    name,
                    format!("Pulling from {}", reference.path),
                ));
                root.manifest(&repository, &wanted).await
            };
            tokio::select! {
                found = finding => found?,
                error = progress.cancelled() => return Err(error),
            }
        };
        let (digest, known) = match &found {
            Answer::Now(found) => (found.digest.clone(), self.known(found)),
            Answer::Old(_, digest) => (digest.clone(), self.known_as(&reference, digest)),
        };
        // Held until the image has its name: nobody prunes it before.
        let (image, _pins) = match (known, found) {
            (Some(image), _) => {
                let pins = self.images.layers.pin(&[image.id.to_string()]);
                (image, pins)
            }
            (None, Answer::Now(found)) => self.get(&repository, found, progress).await?,
            (None, Answer::Old(old, _)) => self.get_old(&repository, &old, progress).await?,
        };
        let newer = self.name(&image, &reference, &digest).await?;
        progress.tell(Step::text(format!("Digest: {digest}")));
        let image = self.images.resolve(image.id.as_str())?;
        Ok(Pulled {
            image,
            digest,
            newer,
        })
    }

    /// The image, when it came with this very manifest before.
    fn known(&self, found: &Found) -> Option<Arc<Image>> {
        let id = found.manifest.config.digest.as_str();
        self.images
            .resolve(id)
            .ok()
            .filter(|image| image.manifest == Some(digest_of(&found.bytes)))
    }

    /// The image, when it has this name already: what a digest stands for does not change.
    fn known_as(&self, reference: &Reference, digest: &Digest) -> Option<Arc<Image>> {
        let name = Reference {
            tag: None,
            digest: Some(digest.clone()),
            ..reference.clone()
        };
        self.images.read().by_reference(&name)
    }

    /// Points the names at the image; whether the name that was asked for pointed elsewhere.
    async fn name(
        &self,
        image: &Arc<Image>,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let by_digest = Reference {
            tag: None,
            digest: Some(digest.clone()),
            ..reference.clone()
        };
        let (images, id) = (Arc::clone(&self.images), image.id.clone());
        let reference = reference.clone();
        blocking(move || {
            let asked = if reference.digest.is_some() {
                &by_digest
            } else {
                &reference
            };
            let before = images
                .read()
                .by_reference(asked)
                .map(|image| image.id.clone());
            let newer = before.as_ref() != Some(&id);
            if newer {
                images.name(&id, asked)?;
            }
            if images
                .read()
                .by_reference(&by_digest)
                .is_none_or(|image| image.id != id)
            {
                images.name(&id, &by_digest)?;
            }
            Ok(newer)
        })
        .await
    }

    /// Fetches configuration and layers, and makes the image.
    async fn get(
        self: &Arc<Self>,
        repository: &Repository,
        found: Found,
        progress: &Progress,
    ) -> Result<(Arc<Image>, Pins), Error> {
        let manifest = &found.manifest;
        check_kind(&manifest.config.media_type)?;
        let config = tokio::select! {
            config = resolve::document(repository, &manifest.config) => config?,
            error = progress.cancelled() => return Err(error),
        };
        let parts = Parts {
            config,
            layers: found.manifest.layers,
            manifest: Some(found.bytes),
        };
        self.make(repository, parts, progress).await
    }

    /// Unpacks the layers, those first fetched that are not there, and makes the image.
    pub(super) async fn make(
        self: &Arc<Self>,
        repository: &Repository,
        parts: Parts,
        progress: &Progress,
    ) -> Result<(Arc<Image>, Pins), Error> {
        let parsed = ImageConfig::parse(&parts.config)?;
        if !matches!(parsed.os.as_str(), "linux" | "") {
            return Err(Error::ForeignSystem(parsed.os));
        }
        let diff_ids = &parsed.rootfs.diff_ids;
        check_count(parts.layers.len(), diff_ids.len())?;
        check_depth(diff_ids.len())?;
        let chains = chain_ids(diff_ids);
        let mut blobs: Vec<Digest> = vec![digest_of(&parts.config)];
        blobs.extend(parts.manifest.as_deref().map(digest_of));
        blobs.extend(parts.layers.iter().map(|layer| layer.digest.clone()));
        let mut keys = chains.clone();
        keys.extend(blobs.iter().map(ToString::to_string));
        let images = Arc::clone(&self.images);
        let pins = self.images.layers.pin(&keys);
        let layers = self
            .layers(repository, &parts, (diff_ids, &chains), progress)
            .await;
        let made = match layers {
            Ok(()) => {
                let origin = Origin {
                    layers: parts.layers,
                    manifest: parts.manifest,
                };
                blocking(move || {
                    images.snapshots.persist(&chains)?;
                    images.add(&parts.config, origin)
                })
                .await
            }
            Err(error) => Err(error),
        };
        match made {
            Ok(image) => Ok((image, pins)),
            Err(error) => {
                drop(pins);
                self.clean(&error, blobs).await;
                Err(error)
            }
        }
    }

    /// Removes what a pull that failed has left.
    pub(super) async fn clean(&self, error: &Error, blobs: Vec<Digest>) {
        let images = Arc::clone(&self.images);
        let wrong = error.is_wrong_content();
        let clean = move || {
            images.collect()?;
            images.snapshots.reap()?;
            // What came is worth nothing beside something that is wrong; otherwise the next pull goes on from it.
            if wrong {
                images.release(&blobs)?;
            }
            Ok::<_, Error>(())
        };
        // Why the pull failed is what counts.
        drop(blocking(clean).await);
    }

    /// Begins to download a layer whose blob is not there.
    pub(super) async fn download(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        progress: &Progress,
    ) -> Result<Option<Download>, Error> {
        let (images, digest) = (Arc::clone(&self.images), blob.digest.clone());
        if blocking(move || images.content.has(&digest)).await? {
            return Ok(None);
        }
        progress.line(blob.digest.short()).say("Pulling fs layer");
        let content = &self.images.content;
        Ok(Some(self.downloads.get(content, repository, blob).await))
    }

    /// Begins to download the layers in their order; of each, its download and whether its tree is there already.
    async fn begin(
        &self,
        repository: &Repository,
        parts: &Parts,
        chains: &[String],
        progress: &Progress,
    ) -> Result<Vec<(Option<Download>, bool)>, Error> {
        let mut begun = Vec::new();
        for (blob, chain) in parts.layers.iter().zip(chains) {
            let download = tokio::select! {
                download = self.download(repository, blob, progress) => download?,
                error = progress.cancelled() => return Err(error),
            };
            let there = download.is_none() && self.images.snapshots.has(chain);
            if there {
                progress.line(blob.digest.short()).say("Already exists");
            } else if download.is_none() && parts.manifest.is_some() {
                progress.line(blob.digest.short()).say("Pulling fs layer");
            }
            begun.push((download, there));
        }
        Ok(begun)
    }

    /// Fetches all layers at once; the first error counts, and is returned when all have ended.
    async fn layers(
        self: &Arc<Self>,
        repository: &Repository,
        parts: &Parts,
        (diff_ids, chains): (&[Digest], &[String]),
        progress: &Progress,
    ) -> Result<(), Error> {
        let begun = self.begin(repository, parts, chains, progress).await?;
        let arrivals = begun
            .iter()
            .filter_map(|(download, _)| Some(Arc::clone(&download.as_ref()?.arrival)));
        let shared = Arc::new(Shared {
            remote: Arc::clone(self),
            progress: progress.clone(),
            abandoned: Arc::default(),
            stopped: watch::channel(false).0,
            arrivals: arrivals.collect(),
        });
        let mut tasks = JoinSet::new();
        let mut below = None;
        for (position, (download, there)) in begun.into_iter().enumerate() {
            let (ready, watched) = watch::channel(false);
            let layer = Layer {
                download,
                there,
                shared: Arc::clone(&shared),
                place: Place {
                    position,
                    diff_id: diff_ids[position].clone(),
                    chain: chains[position].clone(),
                    parent: position.checked_sub(1).map(|below| chains[below].clone()),
                },
                blob: parts.layers[position].clone(),
                below: below.replace(watched),
                ready,
            };
            tasks.spawn(layer.get());
        }
        let mut failure: Option<Error> = None;
        loop {
            let joined = tokio::select! {
                joined = tasks.join_next() => joined,
                error = progress.cancelled(), if failure.is_none() => {
                    shared.abandon();
                    failure = Some(error);
                    continue;
                }
            };
            let Some(joined) = joined else { break };
            let error = match joined {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(panic) => Error::io("pull layer")(std::io::Error::other(panic)),
            };
            shared.abandon();
            // Layers above one that failed say only that they were given up.
            if failure
                .as_ref()
                .is_none_or(|first| matches!(first, Error::Cancelled))
            {
                failure = Some(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

/// No more layers than a mount takes.
pub(super) fn check_depth(layers: usize) -> Result<(), Error> {
    if layers > sys::overlay::MAX_LAYERS {
        return Err(Error::Archive("max depth exceeded".to_owned()));
    }
    Ok(())
}

/// Artifacts are no images. Layers may be of any type: what they are is seen in their first bytes.
fn check_kind(media_type: &str) -> Result<(), Error> {
    let of_images = ["application/vnd.oci.image.", "application/vnd.docker."];
    let unknown = ["", "application/octet-stream", "text/html"];
    if unknown.contains(&media_type) || of_images.iter().any(|kind| media_type.starts_with(kind)) {
        Ok(())
    } else {
        Err(Error::MediaType(media_type.to_owned()))
    }
}
