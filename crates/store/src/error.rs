//! What can go wrong with stored state.

use std::io;
use std::path::PathBuf;

use stdx::ErrorKind;

/// An operation on stored state that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filesystem refused.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Somebody else holds the lock.
    #[error("lock {}: held by another process", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A value cannot be written as JSON.
    #[error("encode record {}: {source}", path.display())]
    Encode {
        /// The record's file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A file is not the record that it should be.
    #[error("read record {}: {reason}", path.display())]
    Damaged {
        /// The record's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The state was written by a later release.
    #[error("open {}: layout version {found} is newer than {supported}, the newest this release reads", path.display())]
    TooNew {
        /// The version file.
        path: PathBuf,
        /// The version in it.
        found: u32,
        /// The newest version that is understood.
        supported: u32,
    },
}

impl Error {
    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::NotFound
            }
            Self::Locked { .. } => ErrorKind::Conflict,
            Self::TooNew { .. } => ErrorKind::Unsupported,
            Self::Io { .. } | Self::Encode { .. } | Self::Damaged { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
