//! SHA-256 of what passes by.

use std::fmt;
use std::io::{self, Read};

use oci::Digest;
use ring::digest::{Context, SHA256};

/// A digest in the making.
#[derive(Clone)]
pub struct Hasher(Context);

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes added.
    pub fn finish(self) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        Digest::from_sha256(bytes)
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// The digest of bytes in memory.
pub fn digest_of(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

/// A reader that knows the digest of what was read.
#[derive(Debug)]
pub struct HashReader<R> {
    inner: R,
    hasher: Hasher,
    length: u64,
}

impl<R: Read> HashReader<R> {
    /// Wraps a reader at its beginning.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            hasher: Hasher::default(),
            length: 0,
        }
    }

    /// The digest and the length of what was read.
    pub fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.length)
    }
}

impl<R: Read> Read for HashReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        self.length += length as u64;
        Ok(length)
    }
}
