//! Empty trees made ahead of time: an active tree is then one renaming and a link.
//!
//! ext4 spreads new directories over the disk, and each costs it a tenth of a millisecond. What a crash leaves of them is
//! known by its name and removed at the next start.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sys::root::RootDir;

use crate::Error;
use crate::key::READY;

/// Mode of a tree's root, unless the layer below has another one.
const MODE: u32 = 0o755;
/// As many as the network keeps of its own.
const KEEP: usize = 8;

/// The empty trees that are ready.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    list: Mutex<(VecDeque<PathBuf>, u64)>,
    refilling: Mutex<()>,
}

impl Ready {
    fn take(&self) -> Option<PathBuf> {
        self.lock().0.pop_front()
    }

    /// Puts an empty tree at `dir`, upon the one at `below`.
    pub(crate) fn place(&self, dir: &Path, below: Option<&Path>) -> Result<(), Error> {
        match self.take() {
            Some(ready) => store::rename(&ready, dir, false)?,
            None => make(dir)?,
        }
        let Some(below) = below else { return Ok(()) };
        let root = RootDir::open_path(&below.join("fs"))
            .map_err(Error::io("open", below.display().to_string()))?;
        let stat = root
            .stat(Path::new("."), true)
            .map_err(Error::io("stat", below.display().to_string()))?;
        if (stat.mode, stat.uid, stat.gid) != (MODE, 0, 0) {
            // The root of the mount takes owner and mode of the topmost layer's root.
            RootDir::open_path(&dir.join("fs"))
                .and_then(|root| root.dir()?.set_self(stat.uid, stat.gid, stat.mode, None))
                .map_err(Error::io("prepare", dir.display().to_string()))?;
        }
        let name = below.file_name().unwrap_or_default();
        symlink(Path::new("..").join(name), dir.join("parent"))
            .map_err(Error::io("link parent of", dir.display().to_string()))
    }

    /// Makes what is missing. A failure is no one's answer here: the next `prepare` meets it and reports it.
    pub(crate) fn refill(&self, root: &Path) {
        let Ok(_one) = self.refilling.try_lock() else {
            return;
        };
        while self.lock().0.len() < KEEP {
            let path = {
                let mut list = self.lock();
                list.1 += 1;
                root.join(format!("{READY}{}", list.1))
            };
            if make(&path).is_err() {
                drop(store::remove_tree(&path));
                break;
            }
            self.lock().0.push_back(path);
        }
    }

    fn lock(&self) -> MutexGuard<'_, (VecDeque<PathBuf>, u64)> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An empty tree, closed to everybody but root.
fn make(directory: &Path) -> Result<(), Error> {
    // The work directory before the tree: a directory without a tree is known to be unfinished.
    for (path, mode) in [
        (directory.to_owned(), 0o700),
        (directory.join("work"), 0o700),
        (directory.join("fs"), MODE),
    ] {
        // The mode is set again, as the process may have any umask.
        DirBuilder::new()
            .mode(mode)
            .create(&path)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .map_err(Error::io("create", path.display().to_string()))?;
    }
    Ok(())
}
