//! The OCI distribution protocol.
//!
//! [`wire`] is what both sides of it say: paths, error documents, challenges, links and ranges. [`client`] fetches and
//! pushes. Knows nothing of image records, stores or the daemon: bytes in, bytes out, each manifest verified against its
//! digest. Sections in comments are those of the [distribution specification], version 1.1.
//!
//! [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md

pub mod client;
mod error;
pub mod wire;

pub use error::{Cause, Error, Result};
