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
use super::resolve::{self, Found, Root, tag_or_digest};
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
        let digest = found.digest.clone();
        // Held until the image has its name: nobody prunes it before.
        let (image, _pins) = match self.known(&found) {
            Some(image) => {
                let pins = self.images.layers.pin(&[image.id.to_string()]);
                (image, pins)
            }
            None => self.get(&repository, found, progress).await?,
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
    async fn get<'a>(
        self: &'a Arc<Self>,
        repository: &Repository,
        found: Found,
        progress: &Progress,
    ) -> Result<(Arc<Image>, Pins<'a>), Error> {
        let manifest = &found.manifest;
        check_kind(&manifest.config.media_type)?;
        let config = tokio::select! {
            config = resolve::document(repository, &manifest.config) => config?,
            error = progress.cancelled() => return Err(error),
        };
        let parsed = ImageConfig::parse(&config)?;
        if !matches!(parsed.os.as_str(), "linux" | "") {
            return Err(Error::ForeignSystem(parsed.os));
        }
        let diff_ids = &parsed.rootfs.diff_ids;
        check_count(manifest.layers.len(), diff_ids.len())?;
        if diff_ids.len() > sys::overlay::MAX_LAYERS {
            return Err(Error::Archive("max depth exceeded".to_owned()));
        }
        let chains = chain_ids(diff_ids);
        let mut blobs: Vec<Digest> = vec![manifest.config.digest.clone(), digest_of(&found.bytes)];
        blobs.extend(manifest.layers.iter().map(|layer| layer.digest.clone()));
        let mut keys = chains.clone();
        keys.extend(blobs.iter().map(ToString::to_string));
        let images = Arc::clone(&self.images);
        let pins = self.images.layers.pin(&keys);
        let layers = self
            .layers(repository, &found, (diff_ids, &chains), progress)
            .await;
        let made = match layers {
            Ok(()) => {
                let images = Arc::clone(&images);
                let origin = Origin {
                    layers: found.manifest.layers.clone(),
                    manifest: Some(found.bytes),
                };
                blocking(move || images.add(&config, origin)).await
            }
            Err(error) => Err(error),
        };
        let error = match made {
            Ok(image) => return Ok((image, pins)),
            Err(error) => error,
        };
        drop(pins);
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
        Err(error)
    }

    /// Begins to download a layer whose blob is not there.
    async fn download(
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

    /// Fetches all layers at once; the first error counts, and is returned when all have ended.
    async fn layers(
        self: &Arc<Self>,
        repository: &Repository,
        found: &Found,
        (diff_ids, chains): (&[Digest], &[String]),
        progress: &Progress,
    ) -> Result<(), Error> {
        let shared = Arc::new(Shared {
            remote: Arc::clone(self),
            progress: progress.clone(),
            abandoned: Arc::default(),
            stopped: watch::channel(false).0,
        });
        let mut layers = Vec::new();
        let mut below = None;
        for (position, blob) in found.manifest.layers.iter().enumerate() {
            let (ready, watched) = watch::channel(false);
            // In their order, whichever task runs first.
            let download = tokio::select! {
                download = self.download(repository, blob, progress) => download?,
                error = progress.cancelled() => return Err(error),
            };
            layers.push(Layer {
                download,
                shared: Arc::clone(&shared),
                place: Place {
                    position,
                    diff_id: diff_ids[position].clone(),
                    chain: chains[position].clone(),
                    parent: position.checked_sub(1).map(|below| chains[below].clone()),
                },
                blob: blob.clone(),
                below: below.replace(watched),
                ready,
            });
        }
        let mut tasks = JoinSet::new();
        for layer in layers {
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

/// Plugins and other artifacts are no images.
fn check_kind(media_type: &str) -> Result<(), Error> {
    let known = [
        "",
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.oci.image.config.v1+json",
        "application/octet-stream",
        "text/html",
    ];
    if known.contains(&media_type) {
        Ok(())
    } else {
        Err(Error::Archive(format!(
            "unsupported media type {media_type}"
        )))
    }
}
