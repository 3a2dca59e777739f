//! A repository in a registry.

use std::fs::File;
use std::io;

use bytes::Bytes;
use oci::Digest;
use oci::reference::Reference;

use super::{Blob, Client, Credentials};
use crate::{Error, Result};

/// What a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push,
}

/// A manifest, or an index: its bytes hash to its digest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// As the registry calls it.
    pub media_type: String,
    /// Of the bytes.
    pub digest: Digest,
    /// As they came, 4 MiB at most.
    pub bytes: Bytes,
}

/// A repository in a registry, seen with some credentials. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Repository {
    client: Client,
    name: Reference,
    credentials: Credentials,
    scope: Scope,
}

impl Repository {
    pub(super) fn new(
        client: Client,
        name: &Reference,
        credentials: Credentials,
        scope: Scope,
    ) -> Self {
        Self {
            client,
            name: name.clone(),
            credentials,
            scope,
        }
    }

    /// A manifest or an index by tag or digest, verified.
    pub async fn manifest(&self, tag_or_digest: &str) -> Result<Manifest> {
        _ = (
            tag_or_digest,
            &self.client,
            &self.name,
            &self.credentials,
            &self.scope,
        );
        Err(Error::Unsupported)
    }

    /// A manifest's or an index's media type, digest and size, without its bytes where the registry says them.
    pub async fn manifest_digest(&self, tag_or_digest: &str) -> Result<Option<Digest>> {
        _ = tag_or_digest;
        Err(Error::Unsupported)
    }

    /// Begins to fetch a blob of `size` bytes, from `offset` on.
    pub async fn blob(&self, digest: &Digest, size: u64, offset: u64) -> Result<Blob> {
        _ = (digest, size, offset);
        Err(Error::Unsupported)
    }

    /// Whether the repository has a blob.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        _ = digest;
        Err(Error::Unsupported)
    }

    /// Asks for a blob of another repository of the same registry; false where it must be uploaded.
    pub async fn mount_blob(&self, digest: &Digest, from_repository: &str) -> Result<bool> {
        _ = (digest, from_repository);
        Err(Error::Unsupported)
    }

    /// Uploads a blob. `open` opens its file, again after a failure; `progress` is told how many bytes were sent.
    pub async fn upload_blob(
        &self,
        digest: &Digest,
        size: u64,
        open: impl Fn() -> io::Result<File>,
        progress: impl Fn(u64),
    ) -> Result<()> {
        _ = (digest, size, open, progress);
        Err(Error::Unsupported)
    }

    /// Uploads a manifest or an index, and returns its digest.
    pub async fn put_manifest(
        &self,
        tag_or_digest: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Digest> {
        _ = (tag_or_digest, media_type, bytes);
        Err(Error::Unsupported)
    }

    /// All tags.
    pub async fn tags(&self) -> Result<Vec<String>> {
        Err(Error::Unsupported)
    }
}
