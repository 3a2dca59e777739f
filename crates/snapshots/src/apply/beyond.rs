//! What a layer's own tree has beyond its archive.
//!
//! Unpacking leaves more than the entries: directories on the way to them, files of lower layers that a hard link was made
//! to, overlayfs's marks of what was deleted. The archive leads to all of these places, by links of lower layers, too;
//! whatever lies elsewhere is nobody's.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use sys::root::RootDir;

use super::absent;
use super::alone::DELETED;

/// The places in a layer's own tree that its archive leads to.
#[derive(Default)]
pub(super) struct Places {
    /// Hashes of them and of their parents.
    known: (HashSet<u64>, RandomState),
    /// Directories in which all that lower layers have was deleted.
    cleared: HashSet<PathBuf>,
    /// The directory of the last path and its place: the next one is most often in it, too.
    parent: (PathBuf, PathBuf),
}

impl Places {
    /// Notes the place of a path.
    pub(super) fn add(&mut self, view: &RootDir, path: &Path) {
        let place = self.of(view, path);
        let (known, state) = &mut self.known;
        for path in place.ancestors() {
            if !known.insert(state.hash_one(path)) {
                break;
            }
        }
    }

    /// Notes that everything in a directory was deleted.
    pub(super) fn clear(&mut self, view: &RootDir, path: &Path) {
        self.add(view, path);
        let place = self.of(view, path);
        self.cleared.insert(place);
    }

    /// The place of a path: its last name is not followed, links before it are.
    fn of(&mut self, view: &RootDir, path: &Path) -> PathBuf {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return PathBuf::new();
        };
        if self.parent.0 != parent {
            // What is not there any more has no place, nor has what was in it.
            let place = view.open_dir(parent).and_then(|dir| dir.place());
            self.parent = (
                parent.to_owned(),
                place.unwrap_or_else(|_| parent.to_owned()),
            );
        }
        self.parent.1.join(name)
    }

    /// What is elsewhere, at most so many; of a directory itself, not of what is in it.
    pub(super) fn others(&self, own: &RootDir, most: usize) -> io::Result<Vec<PathBuf>> {
        let (known, state) = &self.known;
        let mut found = Vec::new();
        let mut directories = vec![(PathBuf::new(), false)];
        while let Some((directory, below)) = directories.pop() {
            let cleared = below || self.cleared.contains(&directory);
            let dir = match own.open_dir(&directory) {
                Err(error) if absent(&error) => continue,
                other => other?,
            };
            for (name, is_directory) in dir.entries()? {
                let path = directory.join(&name);
                if known.contains(&state.hash_one(&path)) {
                    if is_directory {
                        directories.push((path, cleared));
                    }
                } else if found.len() < most && !(cleared && dir.stat(&name)?.kind == DELETED) {
                    found.push(path);
                }
            }
        }
        Ok(found)
    }
}
