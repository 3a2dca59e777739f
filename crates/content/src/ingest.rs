//! A blob on its way in: written to a scratch directory, hashed as it comes, renamed when it is what it should be.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use oci::Digest;

use crate::{Content, Error, Hasher};

/// A blob that is not yet one. Dropped without [`Ingest::commit`], it leaves nothing.
#[derive(Debug)]
pub struct Ingest<'a> {
    content: &'a Content,
    dir: PathBuf,
    file: File,
    hasher: Hasher,
    length: u64,
}

impl<'a> Ingest<'a> {
    pub(crate) fn begin(content: &'a Content, dir: PathBuf) -> Result<Self, Error> {
        let path = dir.join("data");
        let file =
            File::create_new(&path).map_err(Error::io("create", path.display().to_string()))?;
        Ok(Self {
            content,
            dir,
            file,
            hasher: Hasher::default(),
            length: 0,
        })
    }

    /// The digest of what was written so far.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Checks digest and length, brings the bytes onto the medium and gives them their name; returns the length.
    ///
    /// The digest is the caller's: from the moment of its name a blob can be swept, so who keeps it from that must know it
    /// before.
    pub fn commit(self, expected: &Digest, length: Option<u64>) -> Result<u64, Error> {
        if let Some(expected) = length.filter(|length| *length != self.length) {
            return Err(Error::Size {
                expected,
                found: self.length,
            });
        }
        let found = self.digest();
        if found != *expected {
            return Err(Error::Mismatch {
                expected: expected.clone(),
                found,
            });
        }
        self.file
            .sync_all()
            .map_err(Error::io("sync blob", expected.as_str()))?;
        store::rename(&self.dir.join("data"), &self.content.path(expected), true)?;
        Ok(self.length)
    }
}

impl Write for Ingest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        self.length += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Ingest<'_> {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        drop(store::remove_tree(&self.dir));
    }
}
