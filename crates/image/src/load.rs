//! Load images from an archive: what `docker save` writes, or an OCI image layout.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use content::{HashReader, digest_of};
use oci::image::{ArchiveImage, Descriptor, MAX_DOCUMENT, Manifest, Platform};
use oci::{Digest, ImageConfig, Reference};

use self::layout::{Layout, Listed, Wanted, compressed_manifests};
use crate::archive::Archive;
use crate::image::Origin;
use crate::layers::{Hashed, Pins, chain_ids};
use crate::{Error, Images, Loaded, decompress};

mod layout;

pub(crate) use layout::{IMAGE_NAME, REFERENCE_NAME};

/// Types of layers, as Docker calls them.
pub(crate) const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
pub(crate) const LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/// How many images an archive may have.
const MAX_IMAGES: usize = 1000;

impl Images {
    /// Loads every image of an archive (`docker save`'s or an OCI layout; gzip, zstd, xz or plain).
    ///
    /// Layers that are there are skipped. An image is made only when all of it is there and verified. With platforms,
    /// images for other machines are passed over.
    pub fn load(
        &self,
        reader: &mut dyn Read,
        platforms: &[Platform],
        progress: &mut dyn FnMut(Loaded),
    ) -> Result<(), Error> {
        let archive = Archive::read(reader, &self.content, self.archive_limits)?;
        let wanted = Wanted(platforms);
        if archive.has("manifest.json") {
            let images =
                ArchiveImage::parse_list(&archive.document("manifest.json", MAX_DOCUMENT)?)?;
            if images.len() > MAX_IMAGES {
                return Err(Error::Archive(format!(
                    "it has more than {MAX_IMAGES} images"
                )));
            }
            let manifests = compressed_manifests(&archive);
            for image in images {
                let config = archive.document(&image.config, MAX_DOCUMENT)?;
                if wanted.has(&config)? {
                    self.load_saved(&archive, (&image, &config), &manifests, progress)?;
                }
            }
            return Ok(());
        }
        if archive.has("index.json") {
            let index = archive.document("index.json", MAX_DOCUMENT)?;
            for listed in Layout::read(&archive, wanted, &index)? {
                let config = &listed.manifest.config;
                let config =
                    archive.document(&archive.blob(&config.digest, config.size)?, MAX_DOCUMENT)?;
                if wanted.has(&config)? {
                    self.load_manifest(&archive, &listed, &config, progress)?;
                }
            }
            return Ok(());
        }
        Err(Error::Archive(
            "it has neither a manifest.json nor an index.json".to_owned(),
        ))
    }

    fn load_saved(
        &self,
        archive: &Archive,
        (image, config): (&ArchiveImage, &[u8]),
        manifests: &[Listed],
        progress: &mut dyn FnMut(Loaded),
    ) -> Result<(), Error> {
        let mut names = Vec::new();
        for tag in image.repo_tags.iter().flatten() {
            names.push(tag_of(tag)?);
        }
        let id = digest_of(config);
        let same_layers = |manifest: &Manifest| {
            let files = image.layers.iter().map(|name| archive.descriptor(name));
            files
                .map(|found| found.ok().map(|(digest, _)| digest))
                .eq(manifest
                    .layers
                    .iter()
                    .map(|layer| Some(layer.digest.clone())))
        };
        let manifest = manifests
            .iter()
            .map(|listed| (&listed.manifest, listed.bytes.as_slice()))
            .find(|&(manifest, _)| manifest.config.digest == id && same_layers(manifest));
        let parts = Parts {
            config,
            layers: &image.layers,
            manifest,
        };
        self.load_image(archive, &parts, &names, progress)
    }

    fn load_manifest(
        &self,
        archive: &Archive,
        listed: &Listed,
        config: &[u8],
        progress: &mut dyn FnMut(Loaded),
    ) -> Result<(), Error> {
        let mut layers = Vec::new();
        for layer in &listed.manifest.layers {
            layers.push(archive.blob(&layer.digest, layer.size)?);
        }
        let mut names = Vec::new();
        for name in &listed.names {
            names.push(name.parse::<Reference>()?);
        }
        let parts = Parts {
            config,
            layers: &layers,
            manifest: Some((&listed.manifest, &listed.bytes)),
        };
        self.load_image(archive, &parts, &names, progress)
    }

    fn load_image(
        &self,
        archive: &Archive,
        parts: &Parts<'_>,
        names: &[Reference],
        progress: &mut dyn FnMut(Loaded),
    ) -> Result<(), Error> {
        let parsed = ImageConfig::parse(parts.config)?;
        if !matches!(parsed.os.as_str(), "linux" | "") {
            return Err(Error::System(parsed.os));
        }
        let diff_ids = &parsed.rootfs.diff_ids;
        check_count(parts.layers.len(), diff_ids.len())?;
        let origin = self.origin(archive, parts, diff_ids)?;
        let mut blobs: Vec<Digest> = origin
            .layers
            .iter()
            .map(|layer| layer.digest.clone())
            .collect();
        blobs.push(digest_of(parts.config));
        blobs.extend(origin.manifest.as_deref().map(digest_of));
        let mut keys = chain_ids(diff_ids);
        keys.extend(blobs.iter().map(ToString::to_string));
        let pins = self.layers.pin(&keys);
        let made = self
            .unpack(archive, parts, diff_ids, &pins)
            .and_then(|()| self.add(parts.config, origin));
        // Held until the image has its names: nobody prunes it before.
        let (image, _pins) = match made {
            Ok(image) => (image, pins),
            Err(error) => {
                drop(pins);
                // Layers below the one that failed were good, and are of no use now.
                self.collect()?;
                self.release(&blobs)?;
                self.snapshots.reap()?;
                return Err(error);
            }
        };
        for name in names {
            let name = name.clone().with_default_tag();
            if let Some(old) = self.name(&image.id, &name)? {
                progress(Loaded::Renamed {
                    name: name.familiar(),
                    old,
                });
            }
            progress(Loaded::Image(name.familiar()));
        }
        if names.is_empty() {
            progress(Loaded::Id(image.id.clone()));
        }
        Ok(())
    }

    /// What is to be kept of an image: its manifest's layers, or those of another image with the same content, or what
    /// the archive has.
    fn origin(
        &self,
        archive: &Archive,
        parts: &Parts<'_>,
        diff_ids: &[Digest],
    ) -> Result<Origin, Error> {
        if let Some((manifest, bytes)) = parts.manifest {
            return Ok(Origin {
                manifest: Some(bytes.to_vec()),
                layers: manifest.layers.clone(),
            });
        }
        let mut layers = Vec::new();
        for (name, diff_id) in parts.layers.iter().zip(diff_ids) {
            let found = match self.archive_of(diff_id) {
                Some(known) if self.content.has(&known.digest)? => known,
                _ => {
                    let (digest, size) = archive.descriptor(name)?;
                    descriptor(layer_type(&archive.open(name)?), digest, size)
                }
            };
            layers.push(found);
        }
        Ok(Origin {
            manifest: None,
            layers,
        })
    }

    /// Unpacks what is not there, and keeps the archives once they were found to be what the configuration says.
    fn unpack(
        &self,
        archive: &Archive,
        parts: &Parts<'_>,
        diff_ids: &[Digest],
        pins: &Pins,
    ) -> Result<(), Error> {
        let mut kept = Vec::new();
        for (position, layer) in parts.layers.iter().enumerate() {
            let (digest, _) = archive.descriptor(layer)?;
            let open =
                || decompress(archive.open(layer)?).map_err(Error::io(format!("read {layer:?}")));
            let unpacked = self.layers.add(position, diff_ids, pins, || {
                // A plain archive was hashed on its way in.
                if digest == diff_ids[position] {
                    return Ok(Hashed::Before(
                        Box::new(archive.open(layer)?),
                        digest.clone(),
                    ));
                }
                open().map(Hashed::now)
            })?;
            if !pins.has(digest.as_str()) {
                continue;
            }
            // A tree that was there was made of other bytes, and so may an archive of this digest be another layer's.
            let diff_id = &diff_ids[position];
            if !unpacked && digest != *diff_id && !self.vouches_for(&digest, diff_id) {
                check_diff_id(open()?, position, diff_id)?;
            }
            if !self.content.has(&digest)? {
                kept.push(layer.as_str());
            }
        }
        // All of it waits for the medium once.
        self.layers.snapshots.persist(&chain_ids(diff_ids))?;
        archive.keep(&kept, &self.content)
    }
}

/// The parts of an image in an archive.
struct Parts<'a> {
    config: &'a [u8],
    /// Files of the layers, lowest first.
    layers: &'a [String],
    /// The manifest with its bytes, where there is one.
    manifest: Option<(&'a Manifest, &'a [u8])>,
}

/// A tag of a list, which gives names that anybody may choose. Which image a digest stands for is not the archive's to say.
fn tag_of(text: &str) -> Result<Reference, Error> {
    let reference: Reference = text.parse()?;
    let refused = match (&reference.tag, &reference.digest) {
        (Some(_), None) => return Ok(reference),
        (None, _) => format!("invalid tag {text:?}"),
        (Some(_), Some(_)) => "refusing to create a tag with a digest reference".to_owned(),
    };
    Err(Error::Name(refused))
}

/// An image has as many layers as its configuration says.
pub(crate) fn check_count(layers: usize, diff_ids: usize) -> Result<(), Error> {
    if layers == diff_ids {
        return Ok(());
    }
    Err(Error::Archive(format!(
        "invalid manifest, layers length mismatch: expected {layers}, got {diff_ids}"
    )))
}

/// Reads a layer to its end and compares its digest.
pub(crate) fn check_diff_id(
    reader: impl Read,
    position: usize,
    expected: &Digest,
) -> Result<(), Error> {
    let mut reader = HashReader::new(reader);
    io::copy(&mut reader, &mut io::sink()).map_err(Error::io("read layer"))?;
    let (found, _) = reader.finish();
    if found == *expected {
        return Ok(());
    }
    Err(Error::DiffId {
        position,
        expected: expected.clone(),
        found,
    })
}

/// The type of a layer, by its first bytes.
fn layer_type(mut archive: &File) -> &'static str {
    let mut magic = [0; 4];
    match archive.read_exact(&mut magic) {
        Ok(()) if magic[..2] == [0x1f, 0x8b] => LAYER_GZIP,
        Ok(()) if magic == [0x28, 0xb5, 0x2f, 0xfd] => LAYER_ZSTD,
        _ => LAYER,
    }
}

/// A descriptor without remarks.
pub(crate) fn descriptor(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size,
        annotations: BTreeMap::new(),
        platform: None,
    }
}

/// Go's name of this machine's processor.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
