//! How a call can fail.

use stdx::ErrorKind;

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers at the host's address.
    #[error("connect to {host}: {source}")]
    Connect {
        /// The address as the user writes it.
        host: String,
        /// Why the connection failed.
        source: std::io::Error,
    },
    /// The daemon answered with an error.
    #[error("{message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The daemon's own words.
        message: String,
    },
    /// The connection broke.
    #[error("talk to the daemon: {0}")]
    Io(#[from] std::io::Error),
    /// The answer is not HTTP as agreed.
    #[error("read the daemon's answer: {0}")]
    Protocol(&'static str),
    /// The answer is not the JSON that was expected.
    #[error("decode the daemon's answer: {0}")]
    Json(#[from] serde_json::Error),
    /// The host's address cannot be understood.
    #[error("{0}")]
    Host(String),
}

impl Error {
    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { .. } => ErrorKind::Unavailable,
            Self::Host(_) => ErrorKind::Invalid,
            Self::Io(_) | Self::Protocol(_) | Self::Json(_) => ErrorKind::Internal,
            Self::Status { status, .. } => match status {
                304 => ErrorKind::NotModified,
                400 => ErrorKind::Invalid,
                401 => ErrorKind::Unauthorized,
                403 => ErrorKind::Forbidden,
                404 => ErrorKind::NotFound,
                409 => ErrorKind::Conflict,
                501 => ErrorKind::Unsupported,
                503 => ErrorKind::Unavailable,
                _ => ErrorKind::Internal,
            },
        }
    }
}
