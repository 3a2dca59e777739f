//! A blob that comes from afar: kept while it is incomplete, also over the daemon's death, so that it can be continued.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use oci::Digest;

use crate::{Content, Error, Hasher};

const BUFFER: usize = 256 * 1024;

/// The beginning of a blob whose digest and length are known. Dropped, it stays, to be continued.
///
/// There is at most one value for one digest at a time: the caller sees to that.
#[derive(Debug)]
pub struct Partial {
    content: Arc<Content>,
    digest: Digest,
    size: u64,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    length: u64,
}

impl Partial {
    /// Opens what is there of a blob, or begins it. What is there is read once, as its hash goes on.
    pub fn open(content: &Arc<Content>, digest: &Digest, size: u64) -> Result<Self, Error> {
        let path = content.partial_path(digest);
        let mut file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(Error::io("open", path.display().to_string()))?;
        let mut hasher = Hasher::default();
        let mut length = 0;
        let mut buffer = vec![0; BUFFER];
        let resume = Error::io("read", path.display().to_string());
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    length += count as u64;
                }
                Err(error) => return Err(resume(error)),
            }
        }
        let mut partial = Self {
            content: Arc::clone(content),
            digest: digest.clone(),
            size,
            path,
            file,
            hasher,
            length,
        };
        if length > size {
            partial.restart()?;
        }
        Ok(partial)
    }

    /// How much is there.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Another descriptor of the file, for somebody who reads while it grows.
    pub fn reader(&self) -> Result<File, Error> {
        File::open(&self.path).map_err(Error::io("open", self.path.display().to_string()))
    }

    /// Adds bytes; never more than the blob has.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let length = self.length + bytes.len() as u64;
        if length > self.size {
            return Err(Error::Size {
                expected: self.size,
                found: length,
            });
        }
        self.file
            .write_all(bytes)
            .map_err(Error::io("write blob", self.digest.as_str()))?;
        self.hasher.update(bytes);
        self.length = length;
        Ok(())
    }

    /// Checks digest and length, brings the bytes onto the medium and gives them their name.
    ///
    /// Wrong bytes are removed: nothing that is continued from them would ever be right.
    pub fn commit(mut self) -> Result<(), Error> {
        if self.length != self.size {
            return Err(Error::Size {
                expected: self.size,
                found: self.length,
            });
        }
        let found = std::mem::take(&mut self.hasher).finish();
        if found != self.digest {
            store::remove_tree(&self.path)?;
            return Err(Error::Mismatch {
                expected: self.digest,
                found,
            });
        }
        self.file
            .sync_all()
            .map_err(Error::io("sync blob", self.digest.as_str()))?;
        Ok(store::rename(
            &self.path,
            &self.content.path(&self.digest),
            true,
        )?)
    }

    fn restart(&mut self) -> Result<(), Error> {
        self.file
            .set_len(0)
            .map_err(Error::io("truncate", self.path.display().to_string()))?;
        self.hasher = Hasher::default();
        self.length = 0;
        Ok(())
    }
}
