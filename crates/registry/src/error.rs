//! What can go wrong with a registry. The words are Docker's where people or programs match on them.

use oci::Digest;
use stdx::ErrorKind;

use crate::wire::{Code, Errors};

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A request to a registry that failed. Clones: several waiters may share one failure.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No answer: nobody there, TLS, time. Reads as Go's `url.Error`.
    #[error("{method} \"{url}\": {cause}")]
    Transport {
        /// `Get`, `Head` ...
        method: &'static str,
        /// Without secrets.
        url: String,
        /// Why.
        cause: Cause,
    },
    /// The repository is not there, or not for us.
    #[error(
        "pull access denied for {name}, repository does not exist or may require 'docker login': {errors}"
    )]
    PullDenied {
        /// The repository, as people write it.
        name: String,
        /// What the registry said.
        errors: Errors,
    },
    /// No such tag or digest.
    #[error("manifest for {name} not found: {errors}")]
    ManifestUnknown {
        /// The reference, as people write it.
        name: String,
        /// What the registry said.
        errors: Errors,
    },
    /// No such repository.
    #[error("repository {name} not found: {errors}")]
    NameUnknown {
        /// The repository, as people write it.
        name: String,
        /// What the registry said.
        errors: Errors,
    },
    /// What else a registry said.
    #[error("{errors}")]
    Registry {
        /// The status of its answer.
        status: u16,
        /// What it said.
        errors: Errors,
    },
    /// An answer without an error document.
    #[error("received unexpected HTTP status: {0}")]
    Status(http::StatusCode),
    /// An error document that is none.
    #[error("error parsing HTTP {status} response body: {why}: {body:?}")]
    Document {
        /// The status of the answer.
        status: u16,
        /// What is wrong with it.
        why: String,
        /// How it begins.
        body: String,
    },
    /// A login that was refused.
    #[error("login attempt to {url} failed with status: {status}")]
    Login {
        /// The registry.
        url: String,
        /// Its answer.
        status: http::StatusCode,
    },
    /// Content that is not what its digest says.
    #[error("{what} verification failed for digest {expected}: found {found}")]
    Digest {
        /// `manifest`, `image` ...
        what: &'static str,
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: String,
    },
    /// A blob of another size than its manifest says.
    #[error("blob {digest}: the registry has {found} bytes, the manifest says {expected}")]
    Size {
        /// The blob.
        digest: Digest,
        /// What the manifest says.
        expected: u64,
        /// What the registry says.
        found: u64,
    },
    /// More than is read.
    #[error("{what} from {host} is larger than {limit} bytes")]
    TooLarge {
        /// `manifest`, `token` ...
        what: &'static str,
        /// Who sent it.
        host: String,
        /// What is read at most.
        limit: usize,
    },
    /// An answer that breaks the protocol.
    #[error("invalid answer of {host}: {why}")]
    Protocol {
        /// Who answered.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// A redirect that is not followed.
    #[error("redirect from {from} to {to} refused: {why}")]
    Redirect {
        /// Where it came from, without query.
        from: String,
        /// Where it leads, without query.
        to: String,
        /// Why not.
        why: &'static str,
    },
    /// A token server that is not asked.
    #[error("token server {realm} of registry {host} refused: {why}")]
    Realm {
        /// The registry.
        host: String,
        /// The server.
        realm: String,
        /// Why not.
        why: &'static str,
    },
    /// Settings, certificates or `hosts.toml` that cannot be used.
    #[error("{0}")]
    Settings(String),
    /// A registry that is not reached to search it.
    #[error("invalid registry endpoint {0}")]
    Endpoint(String),
    /// A search that came to nothing.
    #[error("{0}")]
    Search(String),
    /// A file that is uploaded.
    #[error("upload of blob {digest}: {why}")]
    File {
        /// The blob.
        digest: Digest,
        /// What the system said.
        why: String,
    },
}

/// Why there was no answer, in the words of Go's network library.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No such name.
    #[error("dial tcp: lookup {host}: {why}")]
    Lookup {
        /// The name.
        host: String,
        /// Why not.
        why: String,
    },
    /// Nobody answers there.
    #[error("dial tcp {address}: {why}")]
    Dial {
        /// Address and port.
        address: String,
        /// Why not.
        why: String,
    },
    /// The certificate, or the encryption.
    #[error("{0}")]
    Tls(String),
    /// No TLS spoken there.
    #[error("http: server gave HTTP response to HTTPS client")]
    PlainHttp,
    /// A proxy refused.
    #[error("proxyconnect tcp: {0}")]
    Proxy(String),
    /// An address that this request must not reach.
    #[error("dial tcp {0}: address refused")]
    Address(String),
    /// It took too long.
    #[error("context deadline exceeded")]
    Timeout,
    /// The connection broke.
    #[error("{0}")]
    Broken(String),
    /// What came is no HTTP, or too much of it.
    #[error("malformed HTTP response: {0}")]
    Malformed(String),
    /// A challenge that needs a user, and none is given.
    #[error("no basic auth credentials")]
    NoCredentials,
    /// The token server said no.
    #[error("{0}")]
    Token(Errors),
}

impl Cause {
    /// Whether it was before anything was said: another scheme or address may be tried.
    pub(crate) fn is_connect(&self) -> bool {
        !matches!(
            self,
            Self::Broken(_)
                | Self::Malformed(_)
                | Self::NoCredentials
                | Self::Token(_)
                | Self::Address(_)
        )
    }
}

impl Error {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::PullDenied { .. } | Self::ManifestUnknown { .. } | Self::NameUnknown { .. } => {
                ErrorKind::NotFound
            }
            Self::Login { .. } => ErrorKind::Unauthorized,
            Self::Endpoint(_) => ErrorKind::Invalid,
            Self::Registry { status, errors } => match status {
                401 => ErrorKind::Unauthorized,
                403 if errors.has(Code::UNAUTHORIZED) => ErrorKind::Unauthorized,
                403 => ErrorKind::Forbidden,
                404 => ErrorKind::NotFound,
                429 => ErrorKind::Unavailable,
                _ => ErrorKind::Internal,
            },
            Self::Transport {
                cause: Cause::Token(_),
                ..
            } => ErrorKind::Unauthorized,
            _ => ErrorKind::Internal,
        }
    }

    /// Whether the same may succeed a little later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport { cause, .. } => matches!(cause, Cause::Broken(_) | Cause::Timeout),
            Self::Registry { status, .. } => *status == 429 || *status >= 500,
            Self::Status(status) => status.as_u16() == 429 || status.is_server_error(),
            _ => false,
        }
    }

    /// Whether the registry said that it is not there.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::ManifestUnknown { .. } | Self::NameUnknown { .. } => true,
            Self::Registry { status, .. } | Self::Document { status, .. } => *status == 404,
            Self::Status(status) => status.as_u16() == 404,
            _ => false,
        }
    }
}
