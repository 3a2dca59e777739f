//! How the runtime fails.

use std::io;

use serde::{Deserialize, Serialize};
use stdx::ErrorKind;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The specification or the command is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The specification is valid and asks for something that is not built.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// No such container.
    #[error("container {0} does not exist")]
    NotFound(String),
    /// The container is in the wrong state.
    #[error("{0}")]
    Conflict(String),
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted on what.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A step of the container's process failed.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl Error {
    /// What class of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Conflict(_) => ErrorKind::Conflict,
            Self::Io { .. } => ErrorKind::Internal,
            Self::Failure(failure) => match failure.stage {
                Stage::Setup => ErrorKind::Internal,
                _ => ErrorKind::Invalid,
            },
        }
    }

    /// Names what was attempted; for `map_err`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// A step that failed: crosses processes as data, never as a bare string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Which step.
    pub stage: Stage,
    /// `errno`, or 0.
    pub errno: i32,
    /// What was attempted and on what, and why it failed, in Docker's words where Docker has any.
    pub message: String,
}

/// Where a launch can fail; decides the exit code that users see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Anything before the program is looked up (125).
    Setup,
    /// The working directory.
    WorkingDirectory,
    /// The program does not exist in the container (127).
    NotFound,
    /// The program exists and cannot be executed (126).
    NotExecutable,
}

impl Failure {
    /// A failed step before the program is looked up.
    pub(crate) fn setup(what: impl std::fmt::Display, error: &io::Error) -> Self {
        Self::new(Stage::Setup, what, error)
    }

    /// A failed step.
    pub(crate) fn new(stage: Stage, what: impl std::fmt::Display, error: &io::Error) -> Self {
        Self {
            stage,
            errno: sys::process::errno(error),
            message: format!("{what}: {}", text(error)),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Failure(failure) => failure,
            Error::Io { what, source } => Self::setup(what, &source),
            other => Self {
                stage: Stage::Setup,
                errno: 0,
                message: other.to_string(),
            },
        }
    }
}

/// An error as Go prints it: lower case, without the number.
pub(crate) fn text(error: &io::Error) -> String {
    let full = error.to_string();
    let Some((bare, _)) = full.split_once(" (os error ") else {
        return full;
    };
    let mut chars = bare.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => full,
    }
}

/// Names the step of the container's process that fails; for `?`.
pub(crate) trait Step<T> {
    /// A failure of stage [`Stage::Setup`].
    fn step<D: std::fmt::Display>(
        self,
        what: impl FnOnce() -> D,
    ) -> std::result::Result<T, Failure>;
}

impl<T> Step<T> for io::Result<T> {
    fn step<D: std::fmt::Display>(
        self,
        what: impl FnOnce() -> D,
    ) -> std::result::Result<T, Failure> {
        self.map_err(|error| Failure::setup(what(), &error))
    }
}
