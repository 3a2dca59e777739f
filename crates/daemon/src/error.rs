//! Failure to status and message: the texts that clients match are tested here.

use std::path::PathBuf;

use http::{Response, StatusCode};
use stdx::ErrorKind;

use crate::answer;
use crate::body::Body;

/// The result of a handler.
pub type Result<T> = std::result::Result<T, Error>;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine refused or failed.
    #[error("{0}")]
    Engine(#[from] engine::Error),
    /// The request is wrong.
    #[error("{0}")]
    Invalid(String),
    /// Something named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Not allowed by what it is about.
    #[error("{0}")]
    Forbidden(String),
    /// A field, value or operation that is not built.
    #[error("{0} is not implemented")]
    NotImplemented(String),
    /// No such path, or no such method at it.
    #[error("page not found")]
    PageNotFound,
    /// The body is longer than the limit.
    #[error("request body too large: the limit is {0} bytes")]
    TooLarge(usize),
    /// The version is older than what is served.
    #[error(
        "client version {version} is too old. Minimum supported API version is {minimum}, please upgrade your client to a \
         newer version"
    )]
    TooOld {
        /// What the client speaks.
        version: String,
        /// What is served.
        minimum: api::version::ApiVersion,
    },
    /// The version is newer than what is served.
    #[error("client version {version} is too new. Maximum supported API version is {maximum}")]
    TooNew {
        /// What the client speaks.
        version: String,
        /// What is served.
        maximum: api::version::ApiVersion,
    },
    /// A bind of a directory that does not exist.
    #[error("invalid mount config for type \"bind\": bind source path does not exist: {}", .0.display())]
    BindSource(PathBuf),
    /// A fault of the daemon itself.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// What class of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Engine(error) => error.kind(),
            Self::NotFound(_) | Self::PageNotFound => ErrorKind::NotFound,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::NotImplemented(_) => ErrorKind::Unsupported,
            Self::Invalid(_) | Self::TooOld { .. } | Self::TooNew { .. } | Self::BindSource(_) => {
                ErrorKind::Invalid
            }
            Self::TooLarge(_) => ErrorKind::Invalid,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// The status that clients get.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            error => status(error.kind()),
        }
    }
}

fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::NotModified => StatusCode::NOT_MODIFIED,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Cancelled | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to a request that failed: `{"message": …}`, and nothing at all with 304.
pub fn response(error: &Error) -> Response<Body> {
    let status = error.status();
    let message = error.to_string();
    if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        tracing::error!("Handler returned error: {message}");
    }
    if status == StatusCode::NOT_MODIFIED {
        let mut response = Response::new(Body::Whole(bytes::Bytes::new()));
        *response.status_mut() = status;
        return response;
    }
    let body = answer::line(&api::error::ErrorResponse { message }).unwrap_or_default();
    answer::with_type(status, "application/json", Body::Whole(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_match_is_dockers() {
        let check = |error: Error, code: u16, text: &str| {
            assert_eq!(
                (error.status().as_u16(), error.to_string().as_str()),
                (code, text)
            );
        };
        check(
            engine::Error::NoSuchContainer("x".into()).into(),
            404,
            "No such container: x",
        );
        check(
            engine::Error::NoSuchImage("x".into()).into(),
            404,
            "No such image: x",
        );
        check(
            engine::Error::NoSuchExec("x".into()).into(),
            404,
            "No such exec instance: x",
        );
        check(Error::PageNotFound, 404, "page not found");
        check(
            engine::Error::InvalidName("a b".into()).into(),
            400,
            "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        );
        check(
            Error::TooNew {
                version: "9.9".into(),
                maximum: api::version::MAXIMUM,
            },
            400,
            "client version 9.9 is too new. Maximum supported API version is 1.51",
        );
        check(
            Error::TooOld {
                version: "1.20".into(),
                minimum: api::version::MINIMUM,
            },
            400,
            "client version 1.20 is too old. Minimum supported API version is 1.40, please upgrade your client to a newer \
             version",
        );
        check(
            Error::BindSource("/x".into()),
            400,
            "invalid mount config for type \"bind\": bind source path does not exist: /x",
        );
        check(
            Error::NotImplemented("HostConfig.Links".into()),
            501,
            "HostConfig.Links is not implemented",
        );
    }

    #[test]
    fn not_modified_has_no_body() {
        let response = response(&engine::Error::NotModified("is running".into()).into());
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert!(matches!(response.body(), Body::Whole(bytes) if bytes.is_empty()));
    }
}
