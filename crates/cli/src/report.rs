//! Failures as the user sees them: a text on standard error and an exit code.

use std::io::Write;

use stdx::ErrorKind;

/// Why the command ends without success.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The process's exit code.
    pub(crate) code: i32,
    /// What is printed; nothing when empty.
    pub(crate) text: String,
    /// The class of the failure, where it came from the daemon.
    pub(crate) kind: ErrorKind,
}

/// What every command returns: its exit code.
pub(crate) type Outcome = Result<i32, Failure>;

impl Failure {
    /// An ordinary failure: exit code 1.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            code: 1,
            text: text.into(),
            kind: ErrorKind::Invalid,
        }
    }

    /// Something that is part of docker's surface and is not built.
    pub(crate) fn unbuilt(program: &str, what: &str) -> Self {
        Self {
            code: 1,
            text: format!("{program}: {what} is not implemented yet"),
            kind: ErrorKind::Unsupported,
        }
    }

    /// Changes the exit code.
    pub(crate) fn with_code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let text = match &error {
            client::Error::Connect { host, source }
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                format!(
                    "permission denied while trying to connect to the Docker daemon socket at {host}: {source}"
                )
            }
            client::Error::Connect { host, .. } => {
                format!(
                    "Cannot connect to the Docker daemon at {host}. Is the docker daemon running?"
                )
            }
            client::Error::Status { message, .. } => {
                format!("Error response from daemon: {message}")
            }
            other => other.to_string(),
        };
        Self {
            code: 1,
            text,
            kind: error.kind(),
        }
    }
}

/// Go's words for an error of the operating system: `open /x: no such file or directory`.
pub(crate) fn io_failure(verb: &str, path: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("{verb} {path}: {}", reason(error)))
}

/// The reason alone, in the C library's words and lower case.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_ascii_lowercase().to_string() + letters.as_str())
        .unwrap_or_default()
}

/// Writes to standard output; nobody there (a closed pipe) is not an error.
pub(crate) fn print(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
    drop(std::io::stdout().lock().flush());
}

/// Writes a line to standard error.
pub(crate) fn print_error(text: &str) {
    drop(
        std::io::stderr()
            .lock()
            .write_all(format!("{text}\n").as_bytes()),
    );
}
