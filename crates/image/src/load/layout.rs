//! The images of an OCI layout: what its indexes list, for the machines that are wanted.

use content::digest_of;
use oci::image::{Descriptor, Document, MAX_DOCUMENT, Manifest, Platform};
use oci::{Digest, ImageConfig, Reference};

use super::MAX_IMAGES;
use crate::archive::Archive;
use crate::{Error, platform};

/// How deep indexes may be nested.
const MAX_DEPTH: usize = 4;
/// Most bytes of all manifests and indexes of a layout together: the manifests are kept while it is loaded.
const MAX_DOCUMENTS: u64 = 4 * MAX_DOCUMENT;

/// Where an OCI layout keeps an image's full name.
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";
pub(crate) const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";
/// What marks a manifest that is about an image but is none.
const ATTESTATION: &str = "vnd.docker.reference.type";

/// A manifest with its bytes, and the names that the layout gives to the image.
pub(super) struct Listed {
    pub(super) manifest: Manifest,
    pub(super) bytes: Vec<u8>,
    pub(super) names: Vec<String>,
    digest: Digest,
}

/// For which machines images are wanted; for any when there is none.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a>(pub(super) &'a [Platform]);

impl Wanted<'_> {
    /// Whether an image of this configuration is.
    pub(super) fn has(self, config: &[u8]) -> Result<bool, Error> {
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
pub(super) struct Layout<'a> {
    archive: &'a Archive,
    wanted: Wanted<'a>,
    found: Vec<Listed>,
    /// How many images were listed, and how many bytes of documents there may be yet.
    listed: usize,
    left: u64,
}

impl<'a> Layout<'a> {
    /// The images that an index leads to.
    pub(super) fn read(
        archive: &'a Archive,
        wanted: Wanted<'a>,
        index: &[u8],
    ) -> Result<Vec<Listed>, Error> {
        let mut layout = Self::new(archive, wanted);
        layout.find(index, None, 0)?;
        Ok(layout.found)
    }

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
            let own = name_of(descriptor)?;
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

/// The manifests of an archive that is a layout as well, whose layers can go to a registry as they are.
pub(super) fn compressed_manifests(archive: &Archive) -> Vec<Listed> {
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

fn for_this_machine<'a>(images: &[&'a Descriptor]) -> Option<&'a Descriptor> {
    let unknown = |descriptor: &&&Descriptor| descriptor.platform.is_none();
    platform::choose(images.iter().copied(), &platform::own())
        .or_else(|| images.iter().find(unknown).copied())
        .or_else(|| images.first().copied())
}

/// The name that a layout gives to an image. A mere tag, as some tools write it, names nothing; a digest in a name must be
/// that of what has the name, or a loaded image would pass for any that is asked for by its digest.
fn name_of(descriptor: &Descriptor) -> Result<Option<String>, Error> {
    let annotation = |key: &str| {
        descriptor
            .annotations
            .get(key)
            .filter(|name| !name.is_empty())
            .cloned()
    };
    let name = annotation(IMAGE_NAME)
        .or_else(|| annotation(REFERENCE_NAME).filter(|name| name.contains([':', '/'])));
    let claimed = name.as_deref().and_then(|name| name.parse().ok());
    match claimed.and_then(|reference: Reference| reference.digest) {
        Some(digest) if digest != descriptor.digest => Err(Error::Name(format!(
            "invalid name {:?}: its image has the digest {}",
            name.unwrap_or_default(),
            descriptor.digest
        ))),
        _ => Ok(name),
    }
}
