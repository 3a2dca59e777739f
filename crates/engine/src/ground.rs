//! The ground under every image: the mount points that a container needs and an image may lack.
//!
//! It lies below the image's lowest layer, so that what the image has wins, a start creates nothing in the container's own
//! layer, and `diff` has nothing to leave out. Docker makes a layer of these for each container (its "init layer"), with the
//! same files; `/.dockerenv` is there because programs look for it to learn that they run in a container.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::config::Config;

const DIRECTORIES: [&str; 4] = ["dev", "etc", "proc", "sys"];
const FILES: [&str; 4] = [".dockerenv", "etc/hostname", "etc/hosts", "etc/resolv.conf"];
const MTAB: (&str, &str) = ("/proc/mounts", "etc/mtab");

/// Where it is.
pub(crate) fn directory(config: &Config) -> PathBuf {
    config.data_root.join("ground")
}

/// Makes what is missing of it.
pub(crate) fn make(directory: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o755);
    for name in DIRECTORIES {
        builder.create(directory.join(name))?;
    }
    for name in FILES {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o644)
            .open(directory.join(name))?;
    }
    match symlink(MTAB.0, directory.join(MTAB.1)) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_is_made_once_and_mended() {
        let place = tempfile::tempdir().unwrap();
        make(place.path()).unwrap();
        fs::remove_file(place.path().join("etc/hosts")).unwrap();
        make(place.path()).unwrap();
        assert_eq!(fs::read(place.path().join("etc/hosts")).unwrap(), b"");
        let mtab = fs::read_link(place.path().join("etc/mtab")).unwrap();
        assert_eq!(mtab, Path::new("/proc/mounts"));
    }
}
