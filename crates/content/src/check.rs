//! Looks at what is stored, for damage that came from elsewhere: a blob is verified when it comes in, and trusted from then on.

use std::fs;
use std::io::{self, ErrorKind as IoErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use oci::Digest;

use crate::{Content, Error, HashReader};

impl Content {
    /// Reads a blob to its end: the digest and the length that it has. Nothing where there is no such blob.
    pub fn measure(&self, digest: &Digest) -> Result<Option<(Digest, u64)>, Error> {
        let file = match self.open_blob(digest) {
            Err(Error::NotFound(_)) => return Ok(None),
            other => other?,
        };
        let mut reader = HashReader::new(file);
        io::copy(&mut reader, &mut io::sink()).map_err(Error::io("read blob", digest.as_str()))?;
        Ok(Some(reader.finish()))
    }

    /// What nobody goes on with: scratch that this process did not make, beginnings of blobs that have lain for so long and
    /// are not wanted, and whatever has no blob's name.
    pub fn leftovers(
        &self,
        wanted: impl Fn(&Digest) -> bool,
        age: Duration,
    ) -> Result<Vec<PathBuf>, Error> {
        let mut found = Vec::new();
        for path in entries(&self.ingest)? {
            let number = name(&path).parse::<u64>();
            if number.is_ok_and(|number| number < self.count.load(Ordering::Relaxed)) {
                continue;
            }
            found.push(path);
        }
        for path in entries(&self.partial)? {
            let digest = Digest::from_hex(name(&path)).ok();
            if digest.is_none_or(|digest| !wanted(&digest) && is_old(&path, age)) {
                found.push(path);
            }
        }
        for path in entries(&self.blobs)? {
            let digest = Digest::from_hex(name(&path)).ok();
            if digest.is_none_or(|digest| !wanted(&digest) && is_old(&path, age)) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let list = || Error::io("list", dir.display().to_string());
    fs::read_dir(dir)
        .map_err(list())?
        .map(|entry| Ok(entry.map_err(list())?.path()))
        .collect()
}

/// Nothing that has gone meanwhile is old.
fn is_old(path: &Path, age: Duration) -> bool {
    let modified = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == IoErrorKind::NotFound => return false,
        other => other.and_then(|metadata| metadata.modified()),
    };
    let lain = modified.map(|modified| SystemTime::now().duration_since(modified));
    lain.is_ok_and(|lain| lain.unwrap_or_default() >= age)
}
