//! The life of a tree: prepared, mounted, committed or removed.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{ErrorKind as IoErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use sys::overlay;
use sys::root::RootDir;

use crate::key::{self, READY, REMOVED};
use crate::ready::Ready;
use crate::{Alone, Applied, Error, Limits, apply, usage};

mod check;
mod commit;

pub use check::{Damage, Flaw};

/// The trees below one directory. Internally synchronised.
pub struct Snapshots {
    root: PathBuf,
    index: Mutex<Index>,
    reaping: Mutex<()>,
    /// Held while trees are brought onto the medium: whoever comes second finds that done.
    persisting: Mutex<()>,
    ready: Ready,
    quarantined: Vec<(PathBuf, String)>,
}

#[derive(Default)]
struct Index {
    entries: HashMap<String, Entry>,
    removed: u64,
}

#[derive(Clone)]
struct Entry {
    parent: Option<String>,
    /// Of a committed tree.
    size: Option<u64>,
    /// Whether a committed tree is on the medium, with its record.
    persistent: bool,
}

/// What a committed tree says of itself.
#[derive(Serialize, Deserialize)]
struct Committed {
    key: String,
    parent: Option<String>,
    size: u64,
}

impl store::Record for Committed {
    const SCHEMA: u32 = 1;
}

impl Snapshots {
    /// Opens `<root>/snapshots`, made when it does not exist.
    ///
    /// Damaged trees are put into `<root>/quarantine`, see [`Snapshots::quarantined`].
    pub fn open(root: &Path) -> Result<Self, Error> {
        let quarantine = root.join("quarantine");
        let root = root.join("snapshots");
        store::create_dir_all(&root)?;
        // The lower layer of a tree without one, and the second one that a read-only overlay needs.
        store::create_dir(&root.join(EMPTY))?;
        let mut index = Index::default();
        let mut quarantined = Vec::new();
        for entry in fs::read_dir(&root).map_err(Error::io("list", root.display().to_string()))? {
            let entry = entry.map_err(Error::io("list", root.display().to_string()))?;
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str().filter(|name| *name != EMPTY) else {
                continue;
            };
            if name.starts_with(READY) {
                store::remove_tree(&entry.path())?;
                continue;
            }
            if let Some(count) = name
                .strip_prefix(REMOVED)
                .and_then(|rest| rest.split('-').next()?.parse().ok())
            {
                index.removed = index.removed.max(count);
                continue;
            }
            match read(&entry.path(), name) {
                Ok(Some((key, entry))) => drop(index.entries.insert(key, entry)),
                Ok(None) => store::remove_tree(&entry.path())?,
                Err(reason) => {
                    quarantined.push((store::quarantine(&entry.path(), &quarantine)?, reason));
                }
            }
        }
        Ok(Self {
            root,
            index: Mutex::new(index),
            reaping: Mutex::new(()),
            persisting: Mutex::new(()),
            ready: Ready::default(),
            quarantined,
        })
    }

    /// What was damaged when it was opened: where it lies, and why.
    pub fn quarantined(&self) -> &[(PathBuf, String)] {
        &self.quarantined
    }

    /// Makes an active tree on a committed one, or on nothing. Nothing is synced.
    pub fn prepare(&self, key: &str, parent: Option<&str>) -> Result<(), Error> {
        let dir = self.dir(key)?;
        let below = parent.map(|parent| self.dir(parent)).transpose()?;
        {
            // The key is taken first, so that two callers cannot make one directory.
            let mut index = self.lock();
            if let Some(parent) = parent {
                index.committed("prepare on", parent)?;
            }
            if index.entries.contains_key(key) {
                return Err(Error::Exists(key.to_owned()));
            }
            index.entries.insert(
                key.to_owned(),
                Entry {
                    parent: parent.map(str::to_owned),
                    size: None,
                    persistent: false,
                },
            );
        }
        self.ready
            .place(&dir, below.as_deref())
            .inspect_err(|_error| {
                self.lock().entries.remove(key);
                // The failure to make it is what counts; a rest is removed at the next start.
                drop(store::remove_tree(&dir));
            })
    }

    /// Mounts a tree over all below it and returns the mount, attached nowhere.
    ///
    /// A committed tree is always read-only. `volatile` leaves out every sync of an active one.
    pub fn mount(&self, key: &str, read_only: bool, volatile: bool) -> Result<OwnedFd, Error> {
        self.mount_above(key, read_only, volatile, None)
    }

    /// [`Snapshots::mount`] with a directory below the lowest tree: what no tree has, is seen from there.
    pub fn mount_above(
        &self,
        key: &str,
        read_only: bool,
        volatile: bool,
        ground: Option<&Path>,
    ) -> Result<OwnedFd, Error> {
        let (active, chain) = self.chain(key)?;
        let mut lower: Vec<PathBuf> = chain.iter().map(|dir| dir.join("fs")).collect();
        let writable = active && !read_only;
        let own = if writable {
            Some(lower.remove(0))
        } else {
            None
        };
        let max = overlay::MAX_LAYERS;
        match ground {
            // An image of as many layers as the kernel takes does without.
            Some(ground) if lower.len() < max => lower.push(ground.to_owned()),
            _ => {}
        }
        if lower.len() < 2 {
            lower.push(self.root.join(EMPTY));
        }
        if lower.len() > max {
            return Err(Error::TooManyLayers {
                key: key.to_owned(),
                layers: lower.len(),
                max,
            });
        }
        let lower: Vec<&Path> = lower.iter().map(PathBuf::as_path).collect();
        let Some(upper) = own else {
            return overlay::mount(&lower, None, false).map_err(Error::io("mount snapshot", key));
        };
        let work = chain[0].join("work");
        overlay::mount(&lower, Some((&upper, &work)), volatile).or_else(|_| {
            // A volatile mount that was cut off leaves a mark that forbids the next one; its scratch space is worth nothing.
            store::remove_tree(&work.join("work"))?;
            overlay::mount(&lower, Some((&upper, &work)), volatile)
                .map_err(Error::io("mount snapshot", key))
        })
    }

    /// Unpacks a layer's archive into an active tree, with the meaning of a sequential unpack over all below it.
    ///
    /// Reads to the end of the stream. After a failure the tree holds a part; the caller removes it.
    pub fn apply(
        &self,
        key: &str,
        reader: &mut dyn Read,
        limits: &Limits,
    ) -> Result<Applied, Error> {
        let parent = self.lock().active("apply to", key)?.parent.clone();
        let own = RootDir::open_path(&self.dir(key)?.join("fs"))
            .map_err(Error::io("open snapshot", key))?;
        // The mount is volatile: only below it anything can be synced.
        let disk = own.dir().ok();
        let view = match parent {
            Some(_) => RootDir::from_fd(self.mount(key, false, true)?),
            None => own,
        };
        apply::layer(&view, reader, parent.is_some(), limits, disk)
    }

    /// Unpacks a layer's archive into an active tree that stands on nothing yet; `None` when that cannot be, as the result
    /// depends on what will lie below. Then the tree holds a part; the caller removes it and uses [`Snapshots::apply`].
    pub fn apply_alone(
        &self,
        key: &str,
        reader: &mut dyn Read,
        limits: &Limits,
    ) -> Result<Option<Alone>, Error> {
        self.lock().active("apply to", key)?;
        let own = RootDir::open_path(&self.dir(key)?.join("fs"))
            .map_err(Error::io("open snapshot", key))?;
        apply::layer_alone(&own, reader, limits, own.dir().ok())
    }

    /// Puts an active tree that was unpacked alone upon a committed one; false when it must be unpacked over it after all.
    pub fn settle(&self, key: &str, parent: &str, alone: &Alone) -> Result<bool, Error> {
        let (dir, below) = (self.dir(key)?, self.dir(parent)?);
        self.lock().committed("settle on", parent)?;
        let own = RootDir::open_path(&dir.join("fs")).map_err(Error::io("open snapshot", key))?;
        let view = RootDir::from_fd(self.mount(parent, true, false)?);
        if !apply::settle(&own, &view, alone).map_err(Error::io("settle snapshot", key))? {
            return Ok(false);
        }
        let name = below.file_name().unwrap_or_default();
        symlink(Path::new("..").join(name), dir.join("parent"))
            .map_err(Error::io("link parent of", dir.display().to_string()))?;
        let mut index = self.lock();
        index.committed("settle on", parent)?;
        if let Some(entry) = index.entries.get_mut(key) {
            entry.parent = Some(parent.to_owned());
        }
        Ok(true)
    }

    /// Removes a tree; one that does not exist is done. Its files go later, see [`Snapshots::reap`].
    pub fn remove(&self, key: &str) -> Result<(), Error> {
        let dir = self.dir(key)?;
        let mut index = self.lock();
        if let Some((child, _)) = index
            .entries
            .iter()
            .find(|(_, entry)| entry.parent.as_deref() == Some(key))
        {
            return Err(Error::InUse {
                key: key.to_owned(),
                child: child.clone(),
            });
        }
        self.set_aside(&mut index, &dir)?;
        index.entries.remove(key);
        Ok(())
    }

    /// Moves a tree's directory out of the way; one that does not exist is done.
    fn set_aside(&self, index: &mut Index, dir: &Path) -> Result<(), Error> {
        index.removed += 1;
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        let aside = self.root.join(format!("{REMOVED}{}-{name}", index.removed));
        match store::rename(dir, &aside, false) {
            Err(error) if error.kind() != stdx::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Keeps empty trees ready for [`Snapshots::prepare`]: making three directories costs the disk's file system a third of
    /// a millisecond.
    pub fn refill(&self) {
        self.ready.refill(&self.root);
    }

    /// Deletes the files of removed trees.
    pub fn reap(&self) -> Result<(), Error> {
        let _one = self.reaping.lock().unwrap_or_else(PoisonError::into_inner);
        let list = || Error::io("list", self.root.display().to_string());
        for entry in fs::read_dir(&self.root).map_err(list())? {
            let entry = entry.map_err(list())?;
            if entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(REMOVED))
            {
                store::remove_tree(&entry.path())?;
            }
        }
        Ok(())
    }

    /// The length of all files that a tree holds itself.
    pub fn usage(&self, key: &str) -> Result<u64, Error> {
        let entry = self.lock().get(key)?.clone();
        if let Some(size) = entry.size {
            return Ok(size);
        }
        let root = RootDir::open_path(&self.dir(key)?.join("fs"))
            .map_err(Error::io("open snapshot", key))?;
        root.dir()
            .and_then(|dir| usage::of(&dir))
            .map_err(Error::io("measure snapshot", key))
    }

    /// Whether a tree exists.
    pub fn has(&self, key: &str) -> bool {
        self.lock().entries.contains_key(key)
    }

    /// What a tree stands on.
    pub fn parent(&self, key: &str) -> Result<Option<String>, Error> {
        Ok(self.lock().get(key)?.parent.clone())
    }

    /// Every key, sorted.
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        Ok(self.select(|_| true))
    }

    /// Keys of all committed trees, sorted.
    pub fn committed(&self) -> Vec<String> {
        self.select(|entry| entry.size.is_some())
    }

    fn select(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<String> {
        let index = self.lock();
        let mut keys: Vec<String> = index
            .entries
            .iter()
            .filter(|(_, entry)| wanted(entry))
            .map(|(key, _)| key.clone())
            .collect();
        keys.sort();
        keys
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        // Every change of the index is one insertion or removal: there is no half-done one to fear.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dir(&self, key: &str) -> Result<PathBuf, Error> {
        Ok(self.root.join(key::directory(key)?))
    }

    /// Whether the tree is active, and the directories of it and of all below, topmost first.
    fn chain(&self, key: &str) -> Result<(bool, Vec<PathBuf>), Error> {
        let index = self.lock();
        let active = index.get(key)?.size.is_none();
        let mut dirs = Vec::new();
        let mut next = Some(key.to_owned());
        while let Some(key) = next.take() {
            dirs.push(self.dir(&key)?);
            next.clone_from(&index.get(&key)?.parent);
            if dirs.len() > overlay::MAX_LAYERS + 1 {
                break;
            }
        }
        Ok((active, dirs))
    }
}

impl Index {
    fn get(&self, key: &str) -> Result<&Entry, Error> {
        self.entries
            .get(key)
            .ok_or_else(|| Error::NotFound(key.to_owned()))
    }

    fn active(&self, action: &'static str, key: &str) -> Result<&Entry, Error> {
        match self.get(key)? {
            entry if entry.size.is_none() => Ok(entry),
            _ => Err(Error::State {
                action,
                key: key.to_owned(),
                committed: true,
            }),
        }
    }

    fn committed(&self, action: &'static str, key: &str) -> Result<&Entry, Error> {
        match self.get(key)? {
            entry if entry.size.is_some() => Ok(entry),
            _ => Err(Error::State {
                action,
                key: key.to_owned(),
                committed: false,
            }),
        }
    }
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Name of the directory without files; no key begins with a dot.
const EMPTY: &str = ".empty";

/// Reads a tree's directory: its key and entry, nothing for an unfinished one, or what is damaged.
fn read(dir: &Path, name: &str) -> Result<Option<(String, Entry)>, String> {
    let key = key::of_directory(name).ok_or("not the name of a snapshot")?;
    let has = |name: &str| dir.join(name).is_dir();
    match store::load::<Committed>(&dir.join("record.json")) {
        // A record under the key of an active tree was cut off before its renaming.
        Ok(record) if record.key != key => return Ok(None),
        Ok(record) if has("fs") => {
            return Ok(Some((
                key,
                Entry {
                    parent: record.parent,
                    size: Some(record.size),
                    persistent: true,
                },
            )));
        }
        Ok(_) => return Err("the tree is missing".to_owned()),
        Err(error) if error.kind() == stdx::ErrorKind::NotFound => {}
        Err(error) => return Err(error.to_string()),
    }
    if !has("fs") || !has("work") {
        return Ok(None);
    }
    let parent = match fs::read_link(dir.join("parent")) {
        Ok(target) => {
            let name = target
                .file_name()
                .and_then(|name| key::of_directory(name.to_str()?));
            Some(name.ok_or("the link to the parent is damaged")?)
        }
        Err(error) if error.kind() == IoErrorKind::NotFound => None,
        Err(error) => return Err(error.to_string()),
    };
    let entry = Entry {
        parent,
        size: None,
        persistent: false,
    };
    Ok(Some((key, entry)))
}
