//! Blobs by digest, verified on the way in.
//!
//! The only constructor of a blob's path; a blob that exists is a blob whose bytes have its name. Knows nothing of media
//! types, tags or registries.

mod check;
mod error;
mod hash;
mod ingest;
mod partial;
mod spool;

use std::fs::{self, File};
use std::io::{ErrorKind as IoErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use oci::Digest;

pub use error::Error;
pub use hash::{HashReader, Hasher, digest_of};
pub use ingest::Ingest;
pub use partial::Partial;
pub use spool::Spool;

/// The blobs below one directory.
#[derive(Debug)]
pub struct Content {
    blobs: PathBuf,
    ingest: PathBuf,
    partial: PathBuf,
    count: AtomicU64,
}

impl Content {
    /// Opens `<root>/content`, made when it does not exist. What an interrupted ingest left is removed; what an
    /// interrupted download left stays, see [`Content::sweep`].
    pub fn open(root: &Path) -> Result<Self, Error> {
        let root = root.join("content");
        let (blobs, ingest) = (root.join("blobs/sha256"), root.join("ingest"));
        let partial = root.join("partial");
        store::create_dir_all(&blobs)?;
        store::create_dir_all(&partial)?;
        store::remove_tree(&ingest)?;
        store::create_dir(&ingest)?;
        Ok(Self {
            blobs,
            ingest,
            partial,
            count: AtomicU64::new(0),
        })
    }

    /// Begins a blob.
    pub fn ingest(&self) -> Result<Ingest<'_>, Error> {
        Ingest::begin(self, self.scratch()?)
    }

    /// Stores bytes that are in memory.
    pub fn add(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = digest_of(bytes);
        if !self.has(&digest)? {
            let mut ingest = self.ingest()?;
            ingest
                .write_all(bytes)
                .map_err(Error::io("write blob", digest.as_str()))?;
            ingest.commit(&digest, Some(bytes.len() as u64))?;
        }
        Ok(digest)
    }

    /// A directory for files on their way in, removed with the value.
    pub fn spool(&self) -> Result<Spool, Error> {
        Ok(Spool::new(self.scratch()?))
    }

    /// Opens a blob for reading.
    pub fn open_blob(&self, digest: &Digest) -> Result<File, Error> {
        File::open(self.path(digest)).map_err(|error| match error.kind() {
            IoErrorKind::NotFound => Error::NotFound(digest.clone()),
            _ => Error::io("open blob", digest.as_str())(error),
        })
    }

    /// Reads a small blob into memory and checks it once more.
    pub fn read(&self, digest: &Digest, max: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let file = self.open_blob(digest)?;
        file.take(max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(Error::io("read blob", digest.as_str()))?;
        if bytes.len() as u64 > max {
            return Err(Error::TooLarge {
                what: digest.to_string(),
                max,
            });
        }
        let found = digest_of(&bytes);
        if found != *digest {
            return Err(Error::Mismatch {
                expected: digest.clone(),
                found,
            });
        }
        Ok(bytes)
    }

    /// Whether a blob is there.
    pub fn has(&self, digest: &Digest) -> Result<bool, Error> {
        self.path(digest)
            .try_exists()
            .map_err(Error::io("look for blob", digest.as_str()))
    }

    /// Length of a blob.
    pub fn size(&self, digest: &Digest) -> Result<u64, Error> {
        self.open_blob(digest)?
            .metadata()
            .map(|metadata| metadata.len())
            .map_err(Error::io("stat blob", digest.as_str()))
    }

    /// Makes blobs of spooled files whose digests the caller found while it wrote them.
    pub fn adopt(&self, spool: &Spool, files: &[(usize, &Digest)]) -> Result<(), Error> {
        let mut missing = Vec::new();
        for (number, digest) in files {
            if !self.has(digest)? {
                missing.push((*number, *digest));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        spool.sync()?;
        let scratch = self.scratch()?;
        let adopted = missing.into_iter().try_for_each(|(number, digest)| {
            // The spool still reads it; both names are of one file.
            spool.link(number, &scratch.join("data"))?;
            store::rename(&scratch.join("data"), &self.path(digest), false)?;
            Ok::<_, Error>(())
        });
        let removed = store::remove_tree(&scratch);
        adopted?;
        store::sync_dir(&self.blobs)?;
        Ok(removed?)
    }

    /// Removes blobs that nobody wants, and beginnings of blobs, when they have lain for so long; returns how many bytes
    /// that freed.
    pub fn sweep(&self, wanted: impl Fn(&Digest) -> bool, age: Duration) -> Result<u64, Error> {
        let mut freed = 0;
        let now = SystemTime::now();
        for dir in [&self.blobs, &self.partial] {
            let list = || Error::io("list", dir.display().to_string());
            for entry in fs::read_dir(dir).map_err(list())? {
                let entry = entry.map_err(list())?;
                let digest = entry
                    .file_name()
                    .to_str()
                    .and_then(|hex| Digest::from_hex(hex).ok());
                if digest.is_some_and(|digest| wanted(&digest)) {
                    continue;
                }
                let metadata = match entry.metadata() {
                    Err(error) if error.kind() == IoErrorKind::NotFound => continue,
                    other => other.map_err(list())?,
                };
                let modified = metadata.modified().unwrap_or(now);
                if now.duration_since(modified).unwrap_or_default() >= age {
                    store::remove_tree(&entry.path())?;
                    freed += metadata.len();
                }
            }
        }
        Ok(freed)
    }

    /// Removes a blob; one that is not there is done.
    pub fn remove(&self, digest: &Digest) -> Result<(), Error> {
        Ok(store::remove_tree(&self.path(digest))?)
    }

    /// Every blob with its length.
    pub fn list(&self) -> Result<Vec<(Digest, u64)>, Error> {
        let path = || self.blobs.display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.blobs).map_err(Error::io("list blobs", path()))? {
            let entry = entry.map_err(Error::io("list blobs", path()))?;
            let name = entry.file_name();
            let Some(digest) = name.to_str().and_then(|hex| Digest::from_hex(hex).ok()) else {
                continue;
            };
            match entry.metadata() {
                Ok(metadata) => found.push((digest, metadata.len())),
                Err(error) if error.kind() == IoErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("list blobs", path())(error)),
            }
        }
        found.sort();
        Ok(found)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }

    pub(crate) fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.partial.join(digest.hex())
    }

    /// Removes the beginning of a blob.
    pub fn remove_partial(&self, digest: &Digest) -> Result<(), Error> {
        Ok(store::remove_tree(&self.partial_path(digest))?)
    }

    fn scratch(&self) -> Result<PathBuf, Error> {
        let dir = self
            .ingest
            .join(self.count.fetch_add(1, Ordering::Relaxed).to_string());
        store::create_dir(&dir)?;
        Ok(dir)
    }
}

#[cfg(test)]
mod tests;
