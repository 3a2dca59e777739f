//! What can go wrong with images. Texts that clients match are Docker's.

use std::io;

use oci::Digest;
use stdx::ErrorKind;

/// An operation on images that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No image has this name or id.
    #[error("No such image: {0}")]
    NotFound(String),
    /// Several images have ids that begin like this.
    #[error("ambiguous reference: {0}")]
    Ambiguous(String),
    /// A text that is no reference, no digest or no such document.
    #[error(transparent)]
    Invalid(#[from] oci::Error),
    /// A name cannot be taken away.
    #[error(
        "conflict: unable to remove repository reference \"{name}\" (must force) - container {container} is using its \
         referenced image {image}"
    )]
    ReferenceInUse {
        /// As it was given.
        name: String,
        /// Short id of the container.
        container: String,
        /// Short id of the image.
        image: String,
    },
    /// An image cannot be deleted.
    #[error("conflict: unable to delete {image} ({}) - {reason}", if *hard { "cannot be forced" } else { "must be forced" })]
    Conflict {
        /// Short id of the image.
        image: String,
        /// Whether not even force helps.
        hard: bool,
        /// Why.
        reason: String,
    },
    /// An archive that is not what it should be.
    #[error("invalid archive: {0}")]
    Archive(String),
    /// A name that an archive cannot give.
    #[error("{0}")]
    Name(String),
    /// A layer's content is not what the configuration says.
    #[error(
        "layer {position}: its content has the digest {found}, the image's configuration says {expected}"
    )]
    DiffId {
        /// Which layer, from zero.
        position: usize,
        /// What the configuration says.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// An image for another system.
    #[error("cannot load {0} image on linux")]
    System(String),
    /// Something in a registry that is no image.
    #[error("unsupported media type {0}")]
    MediaType(String),
    /// A plugin of Docker.
    #[error("Encountered remote {0:?}(plugin) when fetching")]
    Plugin(String),
    /// An image for another system, in a registry.
    #[error("image operating system {0:?} cannot be used on this platform")]
    ForeignSystem(String),
    /// No image for a platform.
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoManifest(String),
    /// The image is for another machine.
    #[error(
        "image with reference {image} was found but its platform ({found}) does not match the specified platform \
         ({wanted})"
    )]
    NoPlatform {
        /// Its name.
        image: String,
        /// What it is for.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// The image is for another machine and cannot be saved for this one.
    #[error("no suitable export target found for platform {0}")]
    NoExport(String),
    /// Not a platform.
    #[error("{0:?}: unknown operating system or architecture: invalid argument")]
    Platform(String),
    /// Nothing to push under this name.
    #[error("An image does not exist locally with the tag: {0}")]
    NoSuchRepository(String),
    /// Nothing to push under this tag.
    #[error("tag does not exist: {0}")]
    NoSuchTag(String),
    /// A layer whose archive was not kept.
    #[error(
        "the layer {layer} of the image {image} was not kept as an archive: pull or load the image again"
    )]
    NotKept {
        /// Short id of the image.
        image: String,
        /// The layer.
        layer: Digest,
    },
    /// Nobody waits for the work any more.
    #[error("context canceled")]
    Cancelled,
    /// A registry refused, or could not be reached.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// What another pull of the same blob met.
    #[error("{0}")]
    Shared(std::sync::Arc<Error>),
    /// An instruction that an import does not know.
    #[error("{0}")]
    Change(String),
    /// A stream or a file failed.
    #[error("{action}: {source}")]
    Io {
        /// What was attempted.
        action: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Blobs failed.
    #[error(transparent)]
    Content(#[from] content::Error),
    /// Trees failed.
    #[error(transparent)]
    Snapshots(#[from] snapshots::Error),
    /// Records failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_)
            | Self::Ambiguous(_)
            | Self::NoManifest(_)
            | Self::NoPlatform { .. }
            | Self::NoSuchRepository(_)
            | Self::NoSuchTag(_)
            | Self::NotKept { .. } => ErrorKind::NotFound,
            Self::ReferenceInUse { .. } | Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Invalid(_)
            | Self::Archive(_)
            | Self::Name(_)
            | Self::DiffId { .. }
            | Self::MediaType(_)
            | Self::Plugin(_)
            | Self::System(_)
            | Self::ForeignSystem(_)
            | Self::Platform(_)
            | Self::Change(_) => ErrorKind::Invalid,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Registry(error) => error.kind(),
            Self::Shared(error) => error.kind(),
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::Invalid,
                _ => ErrorKind::Internal,
            },
            Self::NoExport(_) => ErrorKind::Internal,
            Self::Content(error) => error.kind(),
            Self::Snapshots(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    /// Whether what came is wrong, rather than missing or late: nothing of it is worth keeping.
    pub(crate) fn is_wrong_content(&self) -> bool {
        match self {
            Self::Shared(error) => error.is_wrong_content(),
            Self::Registry(error) => matches!(
                error,
                registry::Error::Digest { .. }
                    | registry::Error::Size { .. }
                    | registry::Error::TooLarge { .. }
            ),
            error => error.kind() == ErrorKind::Invalid,
        }
    }

    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}
