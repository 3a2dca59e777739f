//! From a name to a manifest for one platform.

use content::digest_of;
use oci::image::{Descriptor, Document, Manifest, Platform};
use oci::{Digest, ImageConfig, Reference, Schema1};
use registry::client::{Repository, Scope};
use registry::wire::media;

use super::{Credentials, Remote};
use crate::load::descriptor;
use crate::{Error, platform};

/// How deep indexes may be nested.
const MAX_DEPTH: usize = 4;
/// Largest index or manifest.
const MAX_MANIFEST: u64 = 4 << 20;

/// The configuration of a plugin.
const PLUGIN: &str = "application/vnd.docker.plugin.v1+json";

/// An image in a registry.
#[derive(Debug)]
pub(super) struct Found {
    /// Of what the name points at: an index, or the manifest itself.
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    /// The manifest as it came.
    pub(super) bytes: Vec<u8>,
}

/// What a registry says of a name.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// What the name points at.
    pub descriptor: Descriptor,
    /// For which machines.
    pub platforms: Vec<Platform>,
}

/// What a name points at.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) digest: Digest,
    media_type: String,
    bytes: Vec<u8>,
    document: Kind,
}

/// What a manifest is of.
#[derive(Debug)]
enum Kind {
    Now(Document),
    Old(Schema1),
}

/// An image in a registry, in one format or another.
#[derive(Debug)]
pub(super) enum Answer {
    /// Its manifest says what it is made of.
    Now(Found),
    /// Its configuration is yet to be made; of this digest.
    Old(Schema1, Digest),
}

impl Root {
    /// Asks the registry.
    pub(super) async fn get(repository: &Repository, tag_or_digest: &str) -> Result<Self, Error> {
        let manifest = repository.manifest(tag_or_digest).await?;
        let kind = manifest.media_type.as_str();
        if !media::ACCEPT.contains(&kind) {
            return Err(Error::MediaType(kind.to_owned()));
        }
        let old = [media::SCHEMA1, media::SCHEMA1_SIGNED].contains(&kind);
        let document = if old {
            Kind::Old(Schema1::parse(&manifest.bytes)?)
        } else {
            Kind::Now(Document::parse(&manifest.bytes)?)
        };
        if let Kind::Now(Document::Manifest(manifest)) = &document
            && manifest.config.media_type == PLUGIN
        {
            return Err(Error::Plugin(PLUGIN.to_owned()));
        }
        Ok(Self {
            document,
            digest: manifest.digest,
            media_type: manifest.media_type,
            bytes: manifest.bytes.to_vec(),
        })
    }

    /// The manifest for a platform.
    pub(super) async fn manifest(
        self,
        repository: &Repository,
        wanted: &Platform,
    ) -> Result<Answer, Error> {
        let digest = self.digest;
        let (mut document, mut bytes) = match self.document {
            Kind::Now(document) => (document, self.bytes),
            Kind::Old(old) => return Ok(Answer::Old(old, digest)),
        };
        for _ in 0..MAX_DEPTH {
            let index = match document {
                Document::Manifest(manifest) => {
                    return Ok(Answer::Now(Found {
                        digest,
                        manifest,
                        bytes,
                    }));
                }
                Document::Index(index) => index,
            };
            let chosen = platform::choose(index.manifests.iter(), wanted)
                .ok_or_else(|| Error::NoManifest(platform::format(wanted)))?;
            check_size(chosen, MAX_MANIFEST)?;
            let manifest = repository.manifest(chosen.digest.as_str()).await?;
            check_digest(&chosen.digest, &manifest.bytes)?;
            bytes = manifest.bytes.to_vec();
            document = Document::parse(&bytes)?;
        }
        Err(Error::Archive(
            "its indexes are nested too deeply".to_owned(),
        ))
    }
}

/// Fetches a small blob into memory.
pub(super) async fn document(
    repository: &Repository,
    descriptor: &Descriptor,
) -> Result<Vec<u8>, Error> {
    let (digest, size) = (&descriptor.digest, descriptor.size);
    Ok(repository.document(digest, size).await?)
}

fn check_size(descriptor: &Descriptor, max: u64) -> Result<(), Error> {
    if descriptor.size <= max {
        return Ok(());
    }
    Err(content::Error::TooLarge {
        what: descriptor.digest.to_string(),
        max,
    }
    .into())
}

fn check_digest(expected: &Digest, bytes: &[u8]) -> Result<(), Error> {
    let found = digest_of(bytes);
    if found == *expected {
        return Ok(());
    }
    Err(content::Error::Mismatch {
        expected: expected.clone(),
        found,
    }
    .into())
}

impl Remote {
    /// What a registry says of a name, without fetching the image.
    pub async fn distribution(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Distribution, Error> {
        let reference = reference.clone().with_default_tag();
        let repository = self.repository(&reference, credentials, Scope::Pull);
        let root = Root::get(&repository, tag_or_digest(&reference)).await?;
        let platforms = match &root.document {
            Kind::Old(old) => vec![Platform {
                os: old.word("os").unwrap_or_else(|| "linux".to_owned()),
                architecture: old.word("architecture").unwrap_or_default(),
                variant: String::new(),
            }],
            Kind::Now(Document::Index(index)) => index
                .manifests
                .iter()
                .filter_map(|entry| entry.platform.clone())
                .collect(),
            Kind::Now(Document::Manifest(manifest)) => {
                let config = document(&repository, &manifest.config).await?;
                let config = ImageConfig::parse(&config)?;
                vec![Platform {
                    os: config.os,
                    architecture: config.architecture,
                    variant: config.variant,
                }]
            }
        };
        Ok(Distribution {
            descriptor: descriptor(&root.media_type, root.digest, root.bytes.len() as u64),
            platforms,
        })
    }

    /// All tags of a repository.
    pub async fn tags(
        &self,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Vec<String>, Error> {
        let repository = self.repository(reference, credentials, Scope::Pull);
        Ok(repository.tags().await?)
    }
}

/// How a registry is asked for a reference: with a digest, the tag says nothing.
pub(super) fn tag_or_digest(reference: &Reference) -> &str {
    match &reference.digest {
        Some(digest) => digest.as_str(),
        None => reference
            .tag
            .as_deref()
            .unwrap_or(oci::reference::DEFAULT_TAG),
    }
}
