//! A disk of this run's own: a file with a file system on it.
//!
//! What moves images ends with a sync, and a sync of a shared file system waits for what its other users have written.
//! Removing twenty thousand files costs most where each is discarded at once; here the whole disk goes at the end.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::contestants::shell;

/// The file is sparse: it takes what is written.
const SIZE: u64 = 24 << 30;

/// Mounts a new disk on `directory`.
pub(crate) fn mount(directory: &Path) -> Result<()> {
    let image = image(directory);
    File::create(&image)?.set_len(SIZE)?;
    let (image, directory) = (image.to_string_lossy(), directory.to_string_lossy());
    let options = "nodiscard,lazy_itable_init=1,lazy_journal_init=1";
    shell(&["mkfs.ext4", "-q", "-F", "-E", options, &image])?;
    shell(&["mount", "-o", "loop,nodiscard", &image, &directory])
}

/// Takes the disk away, if there is one.
pub(crate) fn unmount(directory: &Path) -> Result<()> {
    let image = image(directory);
    if !image.exists() {
        return Ok(());
    }
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let name = directory.to_string_lossy();
    if mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == Some(&*name))
    {
        shell(&["umount", &name])?;
    }
    match fs::remove_file(&image) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// The file beside the directory.
fn image(directory: &Path) -> PathBuf {
    directory.with_extension("disk")
}
