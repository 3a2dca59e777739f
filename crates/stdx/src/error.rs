//! The closed set of ways in which an operation can fail, as far as a caller may act on it.

/// What class of failure an error is. The daemon turns it into an HTTP status, the command line into an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The named object does not exist (404).
    NotFound,
    /// The request itself is wrong (400).
    Invalid,
    /// The request clashes with the present state (409).
    Conflict,
    /// Nothing to do: the object is already in that state (304).
    NotModified,
    /// No or wrong credentials (401).
    Unauthorized,
    /// Not allowed (403).
    Forbidden,
    /// Something this needs is not there at the moment (503).
    Unavailable,
    /// Valid, but not built (501).
    Unsupported,
    /// The caller gave up.
    Cancelled,
    /// Anything else (500).
    Internal,
}
