//! What can go wrong with trees.

use std::io;

use stdx::ErrorKind;

/// An operation on trees that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no tree of this key.
    #[error("snapshot {0} does not exist")]
    NotFound(String),
    /// There is one already.
    #[error("snapshot {0} exists already")]
    Exists(String),
    /// Another tree stands on it.
    #[error("remove snapshot {key}: {child} stands on it")]
    InUse {
        /// What was to be removed.
        key: String,
        /// What needs it.
        child: String,
    },
    /// A committed tree where an active one is needed, or the other way round.
    #[error("{action} snapshot {key}: it is {}", if *committed { "committed" } else { "active" })]
    State {
        /// What was attempted.
        action: &'static str,
        /// On what.
        key: String,
        /// What it is.
        committed: bool,
    },
    /// A text that is no key.
    #[error("{0:?} is no key of a snapshot")]
    Key(String),
    /// More layers than overlayfs takes.
    #[error("mount snapshot {key}: {layers} layers are more than {max}")]
    TooManyLayers {
        /// The topmost tree.
        key: String,
        /// How many lie below it.
        layers: usize,
        /// How many are possible.
        max: usize,
    },
    /// An archive that is damaged, hostile or too large.
    #[error("apply layer: {0}")]
    Layer(String),
    /// An entry of an archive that could not be made.
    #[error("apply layer: {action} {path:?}: {source}")]
    Entry {
        /// What was attempted.
        action: &'static str,
        /// The entry's path.
        path: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The filesystem refused.
    #[error("{action} {what}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Exists(_) | Self::InUse { .. } | Self::State { .. } => ErrorKind::Conflict,
            Self::Key(_) | Self::TooManyLayers { .. } | Self::Layer(_) => ErrorKind::Invalid,
            Self::Entry { .. } | Self::Io { .. } => ErrorKind::Internal,
            Self::Store(error) => error.kind(),
        }
    }

    pub(crate) fn io(
        action: &'static str,
        what: impl Into<String>,
    ) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io {
            action,
            what,
            source,
        }
    }
}
