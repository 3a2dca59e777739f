//! Removal of trees of any depth and width, made by somebody who may have meant harm.
//!
//! A tree that is nested a hundred thousand deep would exhaust a recursion's stack or descriptors, a directory with
//! millions of names its memory. So directories are moved up as they are found, and names are read in portions.

use std::ffi::{OsStr, OsString};
use std::io;

use rustix::fs::{self, AtFlags, RenameFlags};
use rustix::io::Errno;

use super::{Dir, single_name};

/// How many names are held at once.
const PORTION: usize = 4096;

impl Dir {
    /// Removes an entry and all below it on one filesystem; one that does not exist is done. Crosses no link.
    ///
    /// After a failure the rest is found under other names below `name`; a further call goes on.
    pub fn remove_tree(&self, name: &OsStr) -> io::Result<()> {
        if self.remove_plain(single_name(name)?)? {
            return Ok(());
        }
        let top = self.open_dir(name)?;
        let mut moved = 0;
        loop {
            let entries = top.some_entries(PORTION)?;
            if entries.is_empty() {
                return self.remove_dir(name);
            }
            for (entry, _) in entries {
                if !top.remove_plain(&entry)? {
                    top.flatten(&entry, &mut moved)?;
                }
            }
        }
    }

    /// Empties a subdirectory, its own subdirectories being moved here, and removes it.
    fn flatten(&self, name: &OsStr, moved: &mut u64) -> io::Result<()> {
        let child = self.open_dir(name)?;
        loop {
            let entries = child.some_entries(PORTION)?;
            if entries.is_empty() {
                return self.remove_dir(name);
            }
            for (entry, _) in entries {
                while !child.remove_plain(&entry)? {
                    *moved += 1;
                    let target = OsString::from(format!("moved-{moved}"));
                    match fs::renameat_with(&child, &entry, self, &target, RenameFlags::NOREPLACE) {
                        Ok(()) => break,
                        Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
    }

    /// Removes a file or an empty directory; false for a directory with entries.
    fn remove_plain(&self, name: &OsStr) -> io::Result<bool> {
        let denied = match fs::unlinkat(self, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(true),
            Err(error @ (Errno::ISDIR | Errno::PERM)) => error,
            Err(error) => return Err(error.into()),
        };
        match fs::unlinkat(self, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(Errno::NOTDIR) => Err(denied.into()),
            Err(error) => Err(error.into()),
        }
    }
}
