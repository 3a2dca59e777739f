//! A tree becomes a committed one: others can stand on it at once, and it outlives a crash when it is on the medium.
//!
//! In between it has its name and no record, and what a crash leaves of that, the next start removes. So the trees of an
//! image wait for the medium once, together.

use std::os::fd::AsFd as _;
use std::sync::PoisonError;

use sys::root::{RootDir, sync_filesystem};

use super::{Committed, Entry, Snapshots};
use crate::Error;

/// A record that is on its way to the medium with its tree.
const COMING: &str = "record.coming";

impl Snapshots {
    /// Turns an active tree into a committed one of another key. All of it is on the medium when this returns.
    pub fn commit(&self, key: &str, name: &str, size: u64) -> Result<(), Error> {
        self.place(key, name, size)?;
        self.persist(&[name])
    }

    /// Turns an active tree into a committed one of another key. A crash before [`Snapshots::persist`] undoes that.
    pub fn place(&self, key: &str, name: &str, size: u64) -> Result<(), Error> {
        let (from, to) = (self.dir(key)?, self.dir(name)?);
        let parent = self.lock().active("commit", key)?.parent.clone();
        if self.has(name) {
            return Err(Error::Exists(name.to_owned()));
        }
        store::remove_tree(&from.join("work"))?;
        store::remove_tree(&from.join("parent"))?;
        let mut index = self.lock();
        if index.entries.contains_key(name) {
            return Err(Error::Exists(name.to_owned()));
        }
        store::rename(&from, &to, false)?;
        index.entries.remove(key);
        let entry = Entry {
            parent,
            size: Some(size),
            persistent: false,
        };
        index.entries.insert(name.to_owned(), entry);
        Ok(())
    }

    /// Brings those of some committed trees onto the medium that are not there yet, whoever placed them.
    pub fn persist(&self, names: &[impl AsRef<str>]) -> Result<(), Error> {
        let lock = self.persisting.lock();
        let _one = lock.unwrap_or_else(PoisonError::into_inner);
        let waiting = self.waiting(names);
        if waiting.is_empty() {
            return Ok(());
        }
        for record in &waiting {
            store::save(&self.dir(&record.key)?.join(COMING), record, false)?;
        }
        self.sync()?;
        // Only now that all it promises is there.
        for record in &waiting {
            let dir = self.dir(&record.key)?;
            store::rename(&dir.join(COMING), &dir.join("record.json"), false)?;
        }
        self.sync()?;
        let mut index = self.lock();
        for record in waiting {
            if let Some(entry) = index.entries.get_mut(&record.key) {
                entry.persistent = true;
            }
        }
        Ok(())
    }

    /// The records of those trees that are not on the medium yet.
    fn waiting(&self, names: &[impl AsRef<str>]) -> Vec<Committed> {
        let index = self.lock();
        let record = |name: &str| {
            let entry = index.entries.get(name).filter(|entry| !entry.persistent)?;
            Some(Committed {
                key: name.to_owned(),
                parent: entry.parent.clone(),
                size: entry.size?,
            })
        };
        names
            .iter()
            .filter_map(|name| record(name.as_ref()))
            .collect()
    }

    fn sync(&self) -> Result<(), Error> {
        let what = || self.root.display().to_string();
        let root = RootDir::open_path(&self.root).map_err(Error::io("open", what()))?;
        sync_filesystem(root.as_fd()).map_err(Error::io("sync", what()))
    }
}
