//! What can go wrong with an operation, in the words that Docker's users know where they know some.

use std::io;

use stdx::ErrorKind;

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No container has that name or id.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// No image has that name or id.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// No exec has that id.
    #[error("No such exec instance: {0}")]
    NoSuchExec(String),
    /// More than one container's id begins so.
    #[error("multiple IDs found with provided prefix: {0}")]
    AmbiguousPrefix(String),
    /// The name is another container's.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". \
         You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameInUse {
        /// The name.
        name: String,
        /// Who has it.
        id: String,
    },
    /// Not a name.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    InvalidName(String),
    /// The request cannot be granted as it stands.
    #[error("{0}")]
    Invalid(String),
    /// The operation does not fit the container's present state.
    #[error("{0}")]
    Conflict(String),
    /// It is already so.
    #[error("{0}")]
    NotModified(String),
    /// A valid request for something that is not built.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// The container's ports could not be published.
    #[error(
        "failed to set up container networking: driver failed programming external connectivity on endpoint {name} \
         ({endpoint}): {error}"
    )]
    Connectivity {
        /// The container's name.
        name: String,
        /// The endpoint's id.
        endpoint: String,
        /// Why.
        error: Box<network::Error>,
    },
    /// The container's program could not be started.
    #[error("{message}")]
    Start {
        /// 125, 126 or 127.
        code: i32,
        /// Docker's composed text.
        message: String,
        /// Whether the request is to blame (400) or the engine (500).
        kind: ErrorKind,
    },
    /// A step failed and so did taking it back.
    #[error("{error}{}", also(.failures))]
    Undo {
        /// Why it was taken back.
        #[source]
        error: Box<Error>,
        /// What could not be taken back.
        failures: Vec<String>,
    },
    /// The kernel or a file refused.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, on what.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The monitor of a container does not answer, or answers nonsense.
    #[error("monitor of container {id}: {why}")]
    Monitor {
        /// The container.
        id: String,
        /// What went wrong.
        why: String,
    },
    /// A stored record cannot be read.
    #[error("{what}: {why}")]
    Broken {
        /// Which.
        what: String,
        /// Why.
        why: String,
    },
    /// An error of the image store.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// An error of the snapshots.
    #[error(transparent)]
    Snapshot(#[from] snapshots::Error),
    /// An error of the network.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// A container's places on networks could not be had.
    #[error("failed to set up container networking: {0}")]
    Networking(network::Error),
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn also(failures: &[String]) -> String {
    failures
        .iter()
        .flat_map(|failure| ["\nalso: ", failure])
        .collect()
}

impl Error {
    /// An I/O error with what was attempted.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// What class of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchContainer(_) | Self::NoSuchImage(_) | Self::NoSuchExec(_) => {
                ErrorKind::NotFound
            }
            Self::AmbiguousPrefix(_) | Self::InvalidName(_) | Self::Invalid(_) => {
                ErrorKind::Invalid
            }
            Self::NameInUse { .. } | Self::Conflict(_) => ErrorKind::Conflict,
            Self::NotModified(_) => ErrorKind::NotModified,
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::Start { kind, .. } => *kind,
            Self::Undo { error, .. } => error.kind(),
            Self::Io { .. } | Self::Monitor { .. } | Self::Broken { .. } => ErrorKind::Internal,
            Self::Image(error) => error.kind(),
            Self::Snapshot(error) => error.kind(),
            Self::Network(error) | Self::Networking(error) => error.kind(),
            Self::Connectivity { error, .. } => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}
