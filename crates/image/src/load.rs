//! Load images from an archive: what `docker save` writes, or an OCI image layout.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use content::{HashReader, digest_of};
use oci::image::{ArchiveImage, Descriptor, Document, MAX_DOCUMENT, Manifest, Platform};
use oci::{Digest, ImageConfig, Reference};

use crate::archive::Archive;
use crate::image::Origin;
use crate::layers::{Hashed, Pins, chain_ids};
use crate::{Error, Images, Loaded, decompress, platform};

/// Types of layers, as Docker calls them.
pub(crate) const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
pub(crate) const LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/// How deep indexes may be nested, and how many images an archive may have.
const MAX_DEPTH: usize = 4;
const MAX_IMAGES: usize = 1000;
/// Most bytes of all manifests and indexes of a layout together: the manifests are kept while it is loaded.
const MAX_DOCUMENTS: u64 = 4 * MAX_DOCUMENT;

/// Where an OCI layout keeps an image's full name.
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";
pub(crate) const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";
/// What marks a manifest that is about an image but is none.
const ATTESTATION: &str = "vnd.docker.reference.type";

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
            let mut layout = Layout::new(&archive, wanted);
            layout.find(&index, None, 0)?;
            for listed in layout.found {
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
            names.push(tag.parse::<Reference>()?);
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
            .find(|(manifest, _)| manifest.config.digest == id && same_layers(manifest));
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
            if self.content.has(&digest)? || !pins.has(digest.as_str()) {
                continue;
            }
            if !unpacked && digest != diff_ids[position] {
                check_diff_id(open()?, position, &diff_ids[position])?;
            }
            kept.push(layer.as_str());
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

/// The manifests of an archive that is a layout as well, whose layers can go to a registry as they are.
fn compressed_manifests(archive: &Archive) -> Vec<Listed> {
    let mut layout = Layout::new(archive, Wanted(&[]));
    // Whatever is wrong with the layout does not matter: the archive is read by its list.
    if let Ok(index) = archive.document("index.json", MAX_DOCUMENT) {
        drop(layout.find(&index, None, 0));
    }
    let packed = |manifest: &Manifest| {
        let mut layers = manifest.layers.iter();
        layers.all(|layer| layer.media_type.ends_with("gzip") || layer.media_type.ends_with("zstd"))
    };
    layout
        .found
        .into_iter()
        .filter(|listed| packed(&listed.manifest))
        .collect()
}

/// A manifest with its bytes, and the names that the layout gives to the image.
struct Listed {
    manifest: Manifest,
    digest: Digest,
    bytes: Vec<u8>,
    names: Vec<String>,
}

/// For which machines images are wanted; for any when there is none.
#[derive(Clone, Copy)]
struct Wanted<'a>(&'a [Platform]);

impl Wanted<'_> {
    /// Whether an image of this configuration is.
    fn has(self, config: &[u8]) -> Result<bool, Error> {
        if self.0.is_empty() {
            return Ok(true);
        }
        let config = ImageConfig::parse(config)?;
        Ok(self.0.iter().any(|wanted| platform::fits(&config, wanted)))
    }

    /// Of an index's entries, those that are.
    fn choose<'d>(self, entries: &[&'d Descriptor]) -> Vec<&'d Descriptor> {
        if self.0.is_empty() {
            return for_this_machine(entries).into_iter().collect();
        }
        let best = |wanted| platform::choose(entries.iter().copied(), wanted);
        let mut chosen: Vec<&Descriptor> = self.0.iter().filter_map(best).collect();
        chosen.dedup();
        chosen
    }
}

/// The images of a layout, each once however often it is listed.
struct Layout<'a> {
    archive: &'a Archive,
    wanted: Wanted<'a>,
    found: Vec<Listed>,
    /// How many images were listed, and how many bytes of documents there may be yet.
    listed: usize,
    left: u64,
}

impl<'a> Layout<'a> {
    fn new(archive: &'a Archive, wanted: Wanted<'a>) -> Self {
        Self {
            archive,
            wanted,
            found: Vec::new(),
            listed: 0,
            left: MAX_DOCUMENTS,
        }
    }

    /// Finds the images of an index: all that it lists, and of an index within it the one for the machine.
    fn find(&mut self, bytes: &[u8], name: Option<&str>, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::Archive(
                "its indexes are nested too deeply".to_owned(),
            ));
        }
        let index = match Document::parse(bytes)? {
            Document::Manifest(manifest) => {
                let listed = Listed {
                    manifest,
                    digest: digest_of(bytes),
                    bytes: bytes.to_vec(),
                    names: Vec::new(),
                };
                self.found.push(listed);
                return self.name(self.found.len() - 1, name);
            }
            Document::Index(index) => index,
        };
        let images = index
            .manifests
            .iter()
            .filter(|descriptor| !descriptor.annotations.contains_key(ATTESTATION));
        let images: Vec<&Descriptor> = images.collect();
        let chosen = if depth == 0 {
            images
        } else {
            self.wanted.choose(&images)
        };
        for descriptor in chosen {
            let own = name_of(descriptor);
            let name = own.as_deref().or(name);
            let known = |listed: &Listed| listed.digest == descriptor.digest;
            if let Some(position) = self.found.iter().position(known) {
                self.name(position, name)?;
                continue;
            }
            let blob = self.archive.blob(&descriptor.digest, descriptor.size)?;
            self.left = self.left.checked_sub(descriptor.size).ok_or_else(|| {
                Error::Archive(format!(
                    "its manifests and indexes are larger than {MAX_DOCUMENTS} bytes"
                ))
            })?;
            let document = self.archive.document(&blob, MAX_DOCUMENT)?;
            self.find(&document, name, depth + 1)?;
        }
        Ok(())
    }

    /// Notes that an image is listed, under this name.
    fn name(&mut self, position: usize, name: Option<&str>) -> Result<(), Error> {
        self.listed += 1;
        if self.listed > MAX_IMAGES {
            return Err(Error::Archive(
                "its indexes list too many images".to_owned(),
            ));
        }
        let names = &mut self.found[position].names;
        names.extend(
            name.filter(|name| !names.iter().any(|other| other == name))
                .map(str::to_owned),
        );
        Ok(())
    }
}

fn for_this_machine<'a>(images: &[&'a Descriptor]) -> Option<&'a Descriptor> {
    let unknown = |descriptor: &&&Descriptor| descriptor.platform.is_none();
    platform::choose(images.iter().copied(), &platform::own())
        .or_else(|| images.iter().find(unknown).copied())
        .or_else(|| images.first().copied())
}

/// Go's name of this machine's processor.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The name that a layout gives to an image. A mere tag, as some tools write it, names nothing.
fn name_of(descriptor: &Descriptor) -> Option<String> {
    let annotation = |key: &str| {
        descriptor
            .annotations
            .get(key)
            .filter(|name| !name.is_empty())
            .cloned()
    };
    annotation(IMAGE_NAME)
        .or_else(|| annotation(REFERENCE_NAME).filter(|name| name.contains([':', '/'])))
}
