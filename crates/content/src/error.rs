//! What can go wrong with blobs.

use std::io;

use oci::Digest;
use stdx::ErrorKind;

/// An operation on blobs that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such blob.
    #[error("blob {0} does not exist")]
    NotFound(Digest),
    /// The bytes have another digest than they should.
    #[error("verify blob {expected}: its content has the digest {found}")]
    Mismatch {
        /// What was asked for.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// The bytes have another length than they should.
    #[error("verify blob: {found} bytes instead of {expected}")]
    Size {
        /// What was promised.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// More bytes than are taken into memory.
    #[error("read {what}: larger than {max} bytes")]
    TooLarge {
        /// Which blob.
        what: String,
        /// The limit.
        max: u64,
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
            Self::Mismatch { .. } | Self::Size { .. } | Self::TooLarge { .. } => ErrorKind::Invalid,
            Self::Io { .. } => ErrorKind::Internal,
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
