//! What can go wrong with a registry. The words are Docker's where people or programs match on them.

use stdx::ErrorKind;

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A request to a registry that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// To be replaced.
    #[error("not implemented")]
    Unsupported,
}

impl Error {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unsupported => ErrorKind::Unsupported,
        }
    }
}
