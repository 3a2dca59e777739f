//! Save images as an archive: what `docker load` reads, and an OCI layout at once.
//!
//! Layers go out as they came, so a loaded image can be pushed bit for bit, and nothing is compressed or unpacked here.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::sync::Arc;

use content::digest_of;
use oci::image::{ArchiveImage, Descriptor, Index, MAX_DOCUMENT, Manifest, Platform};
use oci::{Digest, Reference};
use snapshots::archive::Writer;

use crate::layers::Pins;
use crate::load::{IMAGE_NAME, REFERENCE_NAME, descriptor};
use crate::{Error, Image, Images, platform};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Images that are to be saved; what they need is kept until it is dropped.
pub struct Saving<'a> {
    images: &'a Images,
    chosen: Vec<(Arc<Image>, Vec<Reference>)>,
    _pins: Pins,
}

/// An image, and the tag by which it was found.
type Named = (Arc<Image>, Option<Reference>);

impl Images {
    /// Finds what is to be saved: by tag, by id, or by a repository all its tags. All must be for each of the platforms.
    pub fn begin_save(
        &self,
        names: &[String],
        platforms: &[Platform],
    ) -> Result<Saving<'_>, Error> {
        let mut chosen: Vec<(Arc<Image>, Vec<Reference>)> = Vec::new();
        for name in names {
            for (image, tag) in self.named_for_save(name)? {
                let known = chosen.iter_mut().find(|(other, _)| other.id == image.id);
                let tags = match known {
                    Some((_, tags)) => tags,
                    None => {
                        let other = |wanted: &&Platform| !platform::fits(&image.config, wanted);
                        if let Some(other) = platforms.iter().find(other) {
                            return Err(Error::NoExport(platform::format(other)));
                        }
                        check_kept(&image)?;
                        chosen.push((image, Vec::new()));
                        &mut chosen.last_mut().expect("pushed a moment ago").1
                    }
                };
                tags.extend(tag.filter(|tag| !tags.contains(tag)));
            }
        }
        let blobs: Vec<Digest> = chosen.iter().flat_map(|(image, _)| image.blobs()).collect();
        Ok(Saving {
            images: self,
            chosen,
            _pins: self.layers.pin_blobs(&blobs),
        })
    }

    fn named_for_save(&self, name: &str) -> Result<Vec<Named>, Error> {
        let reference = name.parse::<Reference>().ok();
        if let Some(repository) = reference.as_ref().filter(|name| name.is_name_only()) {
            let state = self.read();
            let found: Vec<_> = state
                .references
                .iter()
                .filter(|(name, _)| name.tag.is_some() && name.name() == repository.name())
                .filter_map(|(name, id)| {
                    Some((Arc::clone(state.images.get(id)?), Some(name.clone())))
                })
                .collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let image = self.resolve(name).map_err(|error| match error {
            // Docker names it here as it was asked for.
            Error::NotFound(_) => Error::NotFound(name.to_owned()),
            other => other,
        })?;
        let tag = reference.filter(|name| name.tag.is_some() && name.digest.is_none());
        let tag = tag.filter(|tag| self.read().by_reference(tag).is_some());
        Ok(vec![(image, tag)])
    }
}

fn check_kept(image: &Image) -> Result<(), Error> {
    match image.config.rootfs.diff_ids.get(image.layers.len()) {
        None => Ok(()),
        Some(layer) => Err(Error::NotKept {
            image: image.id.short().to_owned(),
            layer: layer.clone(),
        }),
    }
}

impl Saving<'_> {
    /// Writes the archive.
    pub fn write(&self, to: &mut dyn Write) -> Result<(), Error> {
        let failed = || Error::io("write archive");
        let mut archive = Archive {
            images: self.images,
            tar: Writer::new(to),
            written: HashSet::new(),
        };
        archive
            .tar
            .directory("blobs", 0o755)
            .and_then(|()| archive.tar.directory("blobs/sha256", 0o755))
            .map_err(failed())?;
        let (mut listed, mut entries) = (Vec::new(), Vec::new());
        for (image, tags) in &self.chosen {
            let manifest = archive.image(image)?;
            listed.push(ArchiveImage {
                config: blob_path(&image.id),
                repo_tags: (!tags.is_empty())
                    .then(|| tags.iter().map(Reference::familiar).collect()),
                layers: image
                    .layers
                    .iter()
                    .map(|layer| blob_path(&layer.digest))
                    .collect(),
                layer_sources: sources(image),
            });
            if tags.is_empty() {
                entries.push(manifest.clone());
            }
            for tag in tags {
                let mut entry = manifest.clone();
                entry
                    .annotations
                    .insert(IMAGE_NAME.to_owned(), tag.to_string());
                let short = tag.tag.clone().unwrap_or_default();
                entry.annotations.insert(REFERENCE_NAME.to_owned(), short);
                entries.push(entry);
            }
        }
        let index = Index {
            schema_version: 2,
            media_type: INDEX.to_owned(),
            manifests: entries,
        };
        archive.document("index.json", &index)?;
        archive.document("manifest.json", &listed)?;
        archive.document(
            "oci-layout",
            &BTreeMap::from([("imageLayoutVersion", "1.0.0")]),
        )?;
        let repositories = self.repositories();
        if !repositories.is_empty() {
            archive.document("repositories", &repositories)?;
        }
        archive.tar.finish().map_err(failed())?;
        Ok(())
    }

    /// What the oldest archives were read by.
    fn repositories(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (image, tags) in &self.chosen {
            let top = image.config.rootfs.diff_ids.last();
            for tag in tags {
                repositories.entry(tag.familiar_name()).or_default().insert(
                    tag.tag.clone().unwrap_or_default(),
                    top.map_or_else(String::new, |top| top.hex().to_owned()),
                );
            }
        }
        repositories
    }
}

impl std::fmt::Debug for Saving<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saving").finish_non_exhaustive()
    }
}

/// An archive in the making.
struct Archive<'a> {
    images: &'a Images,
    tar: Writer<&'a mut dyn Write>,
    written: HashSet<Digest>,
}

impl Archive<'_> {
    /// Adds an image's blobs; returns its manifest's descriptor.
    fn image(&mut self, image: &Image) -> Result<Descriptor, Error> {
        let content = &self.images.content;
        let config = content.read(&image.id, MAX_DOCUMENT)?;
        let (media_type, manifest) = match &image.manifest {
            Some(manifest) => {
                let bytes = content.read(manifest, MAX_DOCUMENT)?;
                let parsed: Manifest = serde_json::from_slice(&bytes)
                    .map_err(|error| Error::Archive(format!("read manifest: {error}")))?;
                (parsed.media_type, bytes)
            }
            None => {
                let manifest = Manifest {
                    schema_version: 2,
                    media_type: MANIFEST.to_owned(),
                    config: descriptor(CONFIG, image.id.clone(), config.len() as u64),
                    layers: image.layers.iter().map(oci_layer).collect(),
                };
                (String::new(), encode(&manifest))
            }
        };
        let media_type = Some(media_type).filter(|kind| !kind.is_empty());
        let digest = digest_of(&manifest);
        self.bytes(&digest, &manifest)?;
        self.bytes(&image.id, &config)?;
        for layer in &image.layers {
            if !self.written.insert(layer.digest.clone()) {
                continue;
            }
            let mut blob = self.images.content.open_blob(&layer.digest)?;
            let size = self.images.content.size(&layer.digest)?;
            self.tar
                .stream(&blob_path(&layer.digest), &mut blob, size, 0o644)
                .map_err(Error::io("write archive"))?;
        }
        Ok(descriptor(
            media_type.as_deref().unwrap_or(MANIFEST),
            digest,
            manifest.len() as u64,
        ))
    }

    fn bytes(&mut self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        if !self.written.insert(digest.clone()) {
            return Ok(());
        }
        self.tar
            .file(&blob_path(digest), bytes, 0o644)
            .map_err(Error::io("write archive"))
    }

    fn document(&mut self, name: &str, document: &impl serde::Serialize) -> Result<(), Error> {
        self.tar
            .file(name, &encode(document), 0o644)
            .map_err(Error::io("write archive"))
    }
}

/// A layer in the words of OCI, whichever kept it.
fn oci_layer(layer: &Descriptor) -> Descriptor {
    let suffix = match layer.media_type.rsplit_once(['.', '+']) {
        Some((_, "gzip")) => "+gzip",
        Some((_, "zstd")) => "+zstd",
        _ => "",
    };
    let media_type = format!("application/vnd.oci.image.layer.v1.tar{suffix}");
    descriptor(&media_type, layer.digest.clone(), layer.size)
}

/// What each layer of an image is in the archive.
fn sources(image: &Image) -> BTreeMap<Digest, Descriptor> {
    let diff_ids = image.config.rootfs.diff_ids.iter().cloned();
    diff_ids.zip(image.layers.iter().map(oci_layer)).collect()
}

fn encode(document: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(document)
        .expect("strings, numbers and maps with string keys are always JSON")
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
