//! Load images from an archive: what `docker save` writes, or an OCI image layout.

use std::io::Read;

use oci::image::{ArchiveImage, Descriptor, Document, MAX_DOCUMENT, Manifest};
use oci::{ImageConfig, Reference};

use crate::archive::Archive;
use crate::layers::chain_ids;
use crate::{Error, Images, Loaded, decompress};

/// How deep indexes may be nested, and how many images an archive may have.
const MAX_DEPTH: usize = 4;
const MAX_IMAGES: usize = 1000;

/// Where an OCI layout keeps an image's full name.
const IMAGE_NAME: &str = "io.containerd.image.name";
const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";
/// What marks a manifest that is about an image but is none.
const ATTESTATION: &str = "vnd.docker.reference.type";

impl Images {
    /// Loads every image of an archive (`docker save`'s or an OCI layout; gzip, zstd, xz or plain).
    ///
    /// Layers that are there are skipped. An image is made only when all of it is there and verified.
    pub fn load(
        &self,
        reader: &mut dyn Read,
        progress: &mut dyn FnMut(Loaded),
    ) -> Result<(), Error> {
        let archive = Archive::read(reader, &self.content, self.archive_limits)?;
        if archive.has("manifest.json") {
            let images =
                ArchiveImage::parse_list(&archive.document("manifest.json", MAX_DOCUMENT)?)?;
            if images.len() > MAX_IMAGES {
                return Err(Error::Archive(format!(
                    "it has more than {MAX_IMAGES} images"
                )));
            }
            for image in images {
                self.load_saved(&archive, &image, progress)?;
            }
            return Ok(());
        }
        if archive.has("index.json") {
            let index = archive.document("index.json", MAX_DOCUMENT)?;
            let mut found = Vec::new();
            find_images(&archive, &index, None, 0, &mut found)?;
            for (manifest, name) in found {
                self.load_manifest(&archive, &manifest, name.as_deref(), progress)?;
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
        image: &ArchiveImage,
        progress: &mut dyn FnMut(Loaded),
    ) -> Result<(), Error> {
        let mut names = Vec::new();
        for tag in &image.repo_tags {
            names.push(tag.parse::<Reference>()?);
        }
        let config = archive.document(&image.config, MAX_DOCUMENT)?;
        self.load_image(archive, &config, &image.layers, &names, progress)
    }

    fn load_manifest(
        &self,
        archive: &Archive,
        manifest: &Manifest,
        name: Option<&str>,
        progress: &mut dyn FnMut(Loaded),
    ) -> Result<(), Error> {
        let config = archive.document(
            &archive.blob(&manifest.config.digest, manifest.config.size)?,
            MAX_DOCUMENT,
        )?;
        let mut layers = Vec::new();
        for layer in &manifest.layers {
            layers.push(archive.blob(&layer.digest, layer.size)?);
        }
        let names: Vec<Reference> = name.map(str::parse).transpose()?.into_iter().collect();
        self.load_image(archive, &config, &layers, &names, progress)
    }

    fn load_image(
        &self,
        archive: &Archive,
        config: &[u8],
        layers: &[String],
        names: &[Reference],
        progress: &mut dyn FnMut(Loaded),
    ) -> Result<(), Error> {
        let parsed = ImageConfig::parse(config)?;
        if !matches!(parsed.os.as_str(), "linux" | "") {
            return Err(Error::System(parsed.os));
        }
        let diff_ids = &parsed.rootfs.diff_ids;
        if diff_ids.len() != layers.len() {
            let (expected, got) = (layers.len(), diff_ids.len());
            let text =
                format!("invalid manifest, layers length mismatch: expected {expected}, got {got}");
            return Err(Error::Archive(text));
        }
        let pins = self.layers.pin(&chain_ids(diff_ids));
        let made = layers.iter().enumerate().try_for_each(|(position, layer)| {
            self.layers.add(position, diff_ids, &pins, || {
                decompress(archive.open(layer)?).map_err(Error::io(format!("read {layer:?}")))
            })
        });
        let made = made.and_then(|()| self.add(config));
        drop(pins);
        if made.is_err() {
            // Layers below the one that failed were good, and are of no use now.
            self.collect()?;
            self.snapshots.reap()?;
        }
        let image = made?;
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
}

/// Finds the images of an index: all that it lists, and of an index within it the one for this machine.
fn find_images(
    archive: &Archive,
    bytes: &[u8],
    name: Option<&str>,
    depth: usize,
    found: &mut Vec<(Manifest, Option<String>)>,
) -> Result<(), Error> {
    if depth > MAX_DEPTH || found.len() >= MAX_IMAGES {
        return Err(Error::Archive(
            "its indexes are nested too deeply or list too many images".to_owned(),
        ));
    }
    let index = match Document::parse(bytes)? {
        Document::Manifest(manifest) => {
            found.push((manifest, name.map(str::to_owned)));
            return Ok(());
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
        for_this_machine(&images).into_iter().collect()
    };
    for descriptor in chosen {
        let blob = archive.document(
            &archive.blob(&descriptor.digest, descriptor.size)?,
            MAX_DOCUMENT,
        )?;
        let own = name_of(descriptor);
        find_images(archive, &blob, own.as_deref().or(name), depth + 1, found)?;
    }
    Ok(())
}

fn for_this_machine<'a>(images: &[&'a Descriptor]) -> Option<&'a Descriptor> {
    let architecture = architecture();
    let fits = |descriptor: &&&Descriptor| {
        descriptor
            .platform
            .as_ref()
            .is_some_and(|it| it.os == "linux" && it.architecture == architecture)
    };
    let unknown = |descriptor: &&&Descriptor| descriptor.platform.is_none();
    images
        .iter()
        .find(fits)
        .or_else(|| images.iter().find(unknown))
        .or_else(|| images.first())
        .copied()
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
