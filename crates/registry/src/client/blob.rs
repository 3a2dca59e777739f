//! A blob that is being fetched.

use bytes::Bytes;

use crate::{Error, Result};

/// A blob's bytes as they come. Not verified: whoever writes them down hashes them.
#[derive(Debug)]
pub struct Blob {}

impl Blob {
    /// The next bytes; `None` once all of the blob was read. A broken connection is taken up again where it broke.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        Err(Error::Unsupported)
    }
}
