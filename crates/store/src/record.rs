//! One JSON file an object, with its schema's number; what cannot be read is put aside, never in the way of a start.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::file::{free_name, is_temporary};
use crate::{Error, create_dir, rename, write_atomic};

/// A record is read into memory whole: one above this is damaged.
const MAX_SIZE: u64 = 64 << 20;

/// An object that is kept in a file of its own.
pub trait Record: Serialize + DeserializeOwned {
    /// The number of its shape. Readers take this one and the one before.
    const SCHEMA: u32;
}

#[derive(Serialize)]
struct Outgoing<'a, T> {
    schema: u32,
    #[serde(flatten)]
    record: &'a T,
}

#[derive(Deserialize)]
struct Incoming {
    schema: u32,
}

/// What [`load_all`] found.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The records with their files, sorted by path.
    pub records: Vec<(PathBuf, T)>,
    /// What could not be read: where it lies now, and why.
    pub quarantined: Vec<(PathBuf, String)>,
}

/// Writes a record. `durable`: it is on the medium when this returns.
pub fn save<T: Record>(path: &Path, record: &T, durable: bool) -> Result<(), Error> {
    let bytes = serde_json::to_vec(&Outgoing {
        schema: T::SCHEMA,
        record,
    })
    .map_err(|source| Error::Encode {
        path: path.to_owned(),
        source,
    })?;
    write_atomic(path, &bytes, durable)
}

/// Reads a record.
pub fn load<T: Record>(path: &Path) -> Result<T, Error> {
    let damaged = |reason: String| Error::Damaged {
        path: path.to_owned(),
        reason,
    };
    let metadata = fs::symlink_metadata(path).map_err(Error::io("read record", path))?;
    if !metadata.is_file() || metadata.len() > MAX_SIZE {
        return Err(damaged("not a regular file of a record's size".to_owned()));
    }
    let bytes = fs::read(path).map_err(Error::io("read record", path))?;
    let Incoming { schema } =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if schema != T::SCHEMA && schema + 1 != T::SCHEMA {
        return Err(damaged(format!(
            "schema {schema} is not {} or the one before",
            T::SCHEMA
        )));
    }
    serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))
}

/// Reads every record of a directory: `<dir>/*.json`, or `<dir>/*/<name>` when a name is given.
///
/// Damaged ones go to `quarantine`, leftovers of interrupted writes are removed, other files are left alone.
pub fn load_all<T: Record>(
    dir: &Path,
    name: Option<&str>,
    quarantine_dir: &Path,
) -> Result<Loaded<T>, Error> {
    let mut loaded = Loaded {
        records: Vec::new(),
        quarantined: Vec::new(),
    };
    let entries = fs::read_dir(dir).map_err(Error::io("read directory", dir))?;
    for entry in entries {
        let entry = entry.map_err(Error::io("read directory", dir))?;
        let file_name = entry.file_name();
        if file_name.to_str().is_some_and(is_temporary) {
            crate::remove_tree(&entry.path())?;
            continue;
        }
        let path = match name {
            Some(name) => entry.path().join(name),
            None if Path::new(&file_name)
                .extension()
                .is_some_and(|extension| extension == "json") =>
            {
                entry.path()
            }
            None => continue,
        };
        match load(&path) {
            Ok(record) => loaded.records.push((path, record)),
            Err(Error::Damaged { reason, .. }) => {
                loaded
                    .quarantined
                    .push((quarantine(&entry.path(), quarantine_dir)?, reason));
            }
            Err(error @ Error::Io { .. })
                if name.is_some() && error.kind() == stdx::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    loaded.records.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(loaded)
}

/// Moves a file or a directory into `quarantine_dir` under a free name, and says where it lies.
pub fn quarantine(path: &Path, quarantine_dir: &Path) -> Result<PathBuf, Error> {
    create_dir(quarantine_dir)?;
    let parent = path
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default()
        .to_string_lossy();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let target = free_name(quarantine_dir, &format!("{parent}-{name}"));
    rename(path, &target, true)?;
    Ok(target)
}
