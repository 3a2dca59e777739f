//! Empty trees made ahead of time: an active tree is then one renaming and a link.
//!
//! ext4 spreads new directories over the disk, and each costs it a tenth of a millisecond. What a crash leaves of them is
//! known by its name and removed at the next start.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::key::READY;

/// Mode of a tree's root, unless the layer below has another one.
pub(crate) const MODE: u32 = 0o755;
/// As many as the network keeps of its own.
const KEEP: usize = 8;

/// The empty trees that are ready.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    list: Mutex<(VecDeque<PathBuf>, u64)>,
    refilling: Mutex<()>,
}

impl Ready {
    pub(crate) fn take(&self) -> Option<PathBuf> {
        self.lock().0.pop_front()
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
pub(crate) fn make(directory: &Path) -> Result<(), Error> {
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
