//! An image, and what happens to one.

use std::fmt;
use std::time::SystemTime;

use oci::image::Descriptor;
use oci::{Digest, ImageConfig};

use crate::records::ImageRecord;

/// An image as it is at one moment; tagging makes another value.
#[derive(Clone, Debug)]
pub struct Image {
    /// SHA-256 of its configuration.
    pub id: Digest,
    /// Its configuration.
    pub config: ImageConfig,
    /// Key of its topmost committed snapshot; an image without layers has none.
    pub chain: Option<String>,
    /// Keys of all its snapshots, lowest first.
    pub chains: Vec<String>,
    /// Length of all files of all layers.
    pub size: u64,
    /// Length of all files of each layer, lowest first.
    pub layer_sizes: Vec<u64>,
    /// Its tags as people write them, sorted.
    pub repo_tags: Vec<String>,
    /// Its digest references as people write them, sorted.
    pub repo_digests: Vec<String>,
    /// When it was made, RFC 3339, as its configuration says.
    pub created: String,
    /// When it was added or tagged here.
    pub last_tagged: SystemTime,
    /// The manifest with which it came from a registry or went to one; a blob.
    pub manifest: Option<Digest>,
    /// The layers' archives as they came, lowest first; nothing where they were not kept.
    pub layers: Vec<Descriptor>,
}

impl Image {
    /// The blobs that it needs: configuration, manifest and layers.
    pub(crate) fn blobs(&self) -> Vec<Digest> {
        ImageRecord::of(self).blobs()
    }
}

/// Where an image comes from: what must be kept for it to go on from here as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The bytes of its manifest.
    pub(crate) manifest: Option<Vec<u8>>,
    /// The layers' archives, which are blobs, lowest first.
    pub(crate) layers: Vec<Descriptor>,
}

/// What has been loaded; prints as Docker says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// An image got this name.
    Image(String),
    /// An image without a name.
    Id(Digest),
    /// Another image lost this name.
    Renamed {
        /// The name.
        name: String,
        /// The image that had it.
        old: Digest,
    },
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(name) => write!(f, "Loaded image: {name}"),
            Self::Id(id) => write!(f, "Loaded image ID: {id}"),
            Self::Renamed { name, old } => {
                write!(
                    f,
                    "The image {name} already exists, renaming the old one with ID {old} to empty string"
                )
            }
        }
    }
}

/// What a removal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name was taken away.
    Untagged(String),
    /// An image or a layer was deleted.
    Deleted(String),
}

/// Who uses an image; a running container before a stopped one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// Full id of the container.
    pub container: String,
    /// Whether it runs.
    pub running: bool,
}
