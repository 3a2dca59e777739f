//! Files and directories: replaced at once, renamed into place, removed whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sys::root::RootDir;

use crate::Error;

/// Distinguishes the temporary files of one process.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Replaces a file by `bytes`, with mode 0600. `durable`: it is on the medium when this returns.
pub fn write_atomic(path: &Path, bytes: &[u8], durable: bool) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = parent.join(format!(".tmp-{}-{count}", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        if durable {
            file.sync_all()?;
        }
        replace(&temporary, path)
    })();
    if let Err(source) = written {
        // The temporary file is without meaning; the failure to write is what counts.
        drop(fs::remove_file(&temporary));
        return Err(Error::Io {
            action: "write",
            path: path.to_owned(),
            source,
        });
    }
    if durable { sync_dir(parent) } else { Ok(()) }
}

/// Whether a name is that of a file that [`write_atomic`] left when it was interrupted.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(".tmp-")
}

/// Renames a file or a directory into place. `durable`: the new name is on the medium when this returns.
pub fn rename(from: &Path, to: &Path, durable: bool) -> Result<(), Error> {
    replace(from, to).map_err(Error::io("rename into place", to))?;
    match to.parent() {
        Some(parent) if durable => sync_dir(parent),
        _ => Ok(()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that renames"
)]
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Brings the names in a directory onto the medium.
pub fn sync_dir(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(Error::io("sync directory", path))
}

/// Makes a directory for root alone (0700); one that exists is done.
pub fn create_dir(path: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other.map_err(Error::io("create directory", path)),
    }
}

/// Makes a directory and its missing parents for root alone (0700).
pub fn create_dir_all(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(path)
        .map_err(Error::io("create directory", path))
}

/// Removes as [`remove_tree`] does, and returns when the medium knows: what was removed is not back after a power cut.
pub fn remove_for_good(path: &Path) -> Result<(), Error> {
    remove_tree(path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Removes a file or a directory with all below it, links not followed; what does not exist is done.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "the path has no last name");
        return Err(Error::Io {
            action: "remove",
            path: path.to_owned(),
            source,
        });
    };
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    match RootDir::open_path(parent).and_then(|parent| parent.dir()?.remove_tree(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::Io {
            action: "remove",
            path: path.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    }
}

/// A name in `dir` that does not exist, beginning with `base`.
pub(crate) fn free_name(dir: &Path, base: &str) -> PathBuf {
    let mut path = dir.join(base);
    let mut count = 1;
    while path.symlink_metadata().is_ok() {
        path = dir.join(format!("{base}.{count}"));
        count += 1;
    }
    path
}
