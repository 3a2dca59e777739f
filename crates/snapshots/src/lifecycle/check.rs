//! Compares the trees on the disk with those that are known, and mends what can be mended here.

use std::fs;
use std::io::Read;

use sys::root::RootDir;

use super::{Committed, EMPTY, Snapshots};
use crate::key::{self, READY, REMOVED};
use crate::{Difference, Error, apply};

/// What is wrong with a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A directory that is no tree.
    Stray,
    /// A committed tree's record cannot be read, or says something else than it did.
    Record(String),
    /// A committed tree's files are gone.
    Gone,
}

/// A tree that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its key; of a stray directory its name.
    pub key: String,
    /// What is wrong.
    pub flaw: Flaw,
}

impl Snapshots {
    /// Looks for damage. Active trees are their containers' matter.
    pub fn check(&self) -> Result<Vec<Damage>, Error> {
        // No tree comes or goes meanwhile.
        let index = self.lock();
        let list = || Error::io("list", self.root.display().to_string());
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(list())? {
            let name = entry.map_err(list())?.file_name();
            let name = name.to_string_lossy();
            let on_its_way = name.starts_with(READY) || name.starts_with(REMOVED);
            if name == EMPTY || on_its_way {
                continue;
            }
            let known =
                key::of_directory(&name).is_some_and(|key| index.entries.contains_key(&key));
            if !known {
                let (key, flaw) = (name.into_owned(), Flaw::Stray);
                found.push(Damage { key, flaw });
            }
        }
        for (key, entry) in &index.entries {
            // What is on its way to the medium has no record yet.
            let Some(size) = entry.size.filter(|_| entry.persistent) else {
                continue;
            };
            let dir = self.dir(key)?;
            let flaw = if dir.join("fs").is_dir() {
                match store::load::<Committed>(&dir.join("record.json")) {
                    Err(error) => Flaw::Record(error.to_string()),
                    Ok(record)
                        if (&record.key, &record.parent, record.size)
                            != (key, &entry.parent, size) =>
                    {
                        Flaw::Record("its record is of another tree".to_owned())
                    }
                    Ok(_) => continue,
                }
            } else {
                Flaw::Gone
            };
            let key = key.clone();
            found.push(Damage { key, flaw });
        }
        found.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(found)
    }

    /// Compares a committed tree with its plain archive: what is lost, altered or not in it.
    pub fn compare(&self, key: &str, archive: &mut dyn Read) -> Result<Vec<Difference>, Error> {
        self.lock().committed("compare", key)?;
        let view = RootDir::from_fd(self.mount(key, true, false)?);
        let path = self.dir(key)?.join("fs");
        let own =
            RootDir::open_path(&path).map_err(Error::io("open", path.display().to_string()))?;
        apply::compare(&view, &own, archive)
    }

    /// Removes a directory that is no tree.
    pub fn remove_stray(&self, name: &str) -> Result<(), Error> {
        let index = self.lock();
        let known = key::of_directory(name).is_some_and(|key| index.entries.contains_key(&key));
        if known || name.contains('/') {
            return Err(Error::Key(name.to_owned()));
        }
        Ok(store::remove_tree(&self.root.join(name))?)
    }

    /// Writes a committed tree's record anew.
    pub fn rewrite_record(&self, key: &str) -> Result<(), Error> {
        let index = self.lock();
        let entry = index.committed("write record of", key)?;
        let record = Committed {
            key: key.to_owned(),
            parent: entry.parent.clone(),
            size: entry.size.unwrap_or_default(),
        };
        let path = self.dir(key)?.join("record.json");
        store::remove_tree(&path)?;
        Ok(store::save(&path, &record, true)?)
    }

    /// Forgets a damaged tree although others stand on it, so that it can be made anew. Its files go later, see
    /// [`Snapshots::reap`].
    pub fn discard(&self, key: &str) -> Result<(), Error> {
        let dir = self.dir(key)?;
        let mut index = self.lock();
        self.set_aside(&mut index, &dir)?;
        index.entries.remove(key);
        Ok(())
    }

    /// Keys of the active trees that stand on a tree, at whatever height.
    pub fn active_above(&self, key: &str) -> Vec<String> {
        let index = self.lock();
        let mut found = Vec::new();
        for (top, entry) in index
            .entries
            .iter()
            .filter(|(_, entry)| entry.size.is_none())
        {
            let mut below = entry.parent.as_ref();
            let mut left = index.entries.len();
            while let Some(parent) = below.filter(|_| left > 0) {
                if parent == key {
                    found.push(top.clone());
                    break;
                }
                below = index
                    .entries
                    .get(parent)
                    .and_then(|entry| entry.parent.as_ref());
                left -= 1;
            }
        }
        found.sort();
        found
    }
}
