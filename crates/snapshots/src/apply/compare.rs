//! A tree beside the archive that it was made of: what is lost, altered, or nobody's.
//!
//! The archive is read once, in its order, and each entry is held against the view of the tree and of all below it. What a
//! later entry of the same layer replaces or deletes takes the difference back. Times are not compared, as not every file
//! system keeps them all. What the layer's own tree has beyond its archive is looked for in the end.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use sys::root::{Dir, FileKind, RootDir, Stat};

use super::beyond::Places;
use super::{BUFFER, META, OPAQUE, WHITEOUT, absent, clean, damaged, owner, xattrs};
use crate::Error;
use crate::archive::{Entry, Kind, Reader};

/// A store that is damaged all over is described well enough by so many.
const MOST: usize = 1000;

const LOST: &str = "lost";
const CONTENT: &str = "other content";
const ATTRIBUTES: &str = "other attributes";
const KIND: &str = "something else";
const BACK: &str = "deleted, and there again";
const NOBODYS: &str = "not in its archive";

/// Something in a tree that is not what its archive says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

/// What is wrong, and with which other name's entry that may change.
struct Found {
    what: String,
    target: Option<PathBuf>,
}

struct Compare<'a> {
    view: &'a RootDir,
    found: BTreeMap<PathBuf, Found>,
    /// Hashes of all paths of this layer and their parents: all that a directory holds that hides those below.
    made: (HashSet<u64>, RandomState),
    opaque: Vec<PathBuf>,
    places: Places,
    buffers: [Vec<u8>; 2],
}

/// Compares a view of a layer and of all below it with the layer's plain archive; `own` is the layer's own tree.
pub(crate) fn layer(
    view: &RootDir,
    own: &RootDir,
    reader: &mut dyn Read,
) -> Result<Vec<Difference>, Error> {
    let mut compare = Compare {
        view,
        found: BTreeMap::new(),
        made: (HashSet::new(), RandomState::new()),
        opaque: Vec::new(),
        places: Places::default(),
        buffers: [vec![0; BUFFER], vec![0; BUFFER]],
    };
    let mut archive = Reader::new(reader);
    while let Some(entry) = archive.next_entry().map_err(damaged)? {
        compare.entry(&entry, &mut archive).map_err(damaged)?;
    }
    compare.hidden();
    let others = compare.places.others(own, MOST);
    for path in others.map_err(Error::io("look for what is in", "a layer"))? {
        compare.note(&path, NOBODYS, None);
    }
    let found = compare.found.into_iter();
    Ok(found
        .map(|(path, Found { what, .. })| Difference { path, what })
        .collect())
}

impl Compare<'_> {
    /// An error is the archive's: what is wrong with the tree is noted.
    fn entry(&mut self, entry: &Entry, content: &mut impl Read) -> io::Result<()> {
        // Nothing else was ever unpacked.
        let Some(path) = clean(&entry.path) else {
            return Ok(());
        };
        let parent = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().unwrap_or_default().as_bytes();
        if name == OPAQUE {
            self.places.clear(self.view, parent);
            self.opaque.push(parent.to_owned());
            return Ok(());
        }
        if path.iter().any(|part| part.as_bytes().starts_with(META)) {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            let path = parent.join(std::ffi::OsStr::from_bytes(hidden));
            self.places.add(self.view, &path);
            self.forget(&path, true);
            if self.stat(&path).is_ok() {
                self.note(&path, BACK, None);
            }
            return Ok(());
        }
        // A directory that comes again keeps what is in it.
        self.forget(&path, entry.kind != Kind::Node(FileKind::Directory));
        self.remember(&path);
        self.places.add(self.view, &path);
        let target = match &entry.kind {
            Kind::HardLink(target) => clean(target),
            _ => None,
        };
        if let Some(target) = &target {
            // Of a lower layer's file this one has a copy.
            self.places.add(self.view, target);
        }
        match self.differs(&path, entry, content)? {
            Ok(None) => {}
            Ok(Some(what)) => self.note(&path, what, target),
            Err(error) if absent(&error) => self.note(&path, LOST, target),
            Err(error) => self.note(&path, &error.to_string(), target),
        }
        Ok(())
    }

    /// The outer error is the archive's, the inner one the tree's.
    fn differs(
        &mut self,
        path: &Path,
        entry: &Entry,
        content: &mut impl Read,
    ) -> io::Result<io::Result<Option<&'static str>>> {
        let differs = (|| {
            let Some(name) = path.file_name() else {
                return Ok((
                    other_attributes(entry, &self.view.dir()?.stat_self()?),
                    None,
                ));
            };
            let (dir, stat) = self.stat(path)?;
            let what = match &entry.kind {
                Kind::HardLink(target) => {
                    let (_, other) = self.stat(target)?;
                    let same = (stat.device, stat.inode) == (other.device, other.inode);
                    return Ok(((!same).then_some(KIND), None));
                }
                Kind::Symlink(target) => {
                    let same = stat.kind == FileKind::Symlink && dir.read_link(name)? == *target;
                    (!same).then_some(KIND)
                }
                Kind::Node(kind) => (stat.kind != *kind).then_some(KIND),
            };
            let what = what.or_else(|| other_attributes(entry, &stat));
            let what = match what {
                None => other_xattrs(&dir, name, entry)?,
                what => what,
            };
            if what.is_some() || stat.kind != FileKind::Regular {
                return Ok((what, None));
            }
            if stat.size != entry.size {
                return Ok((Some(CONTENT), None));
            }
            Ok((None, Some(dir.open_file(name)?)))
        })();
        match differs {
            Ok((None, Some(file))) => self.content(file, content),
            Ok((what, _)) => Ok(Ok(what)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Compares two contents of the same length.
    fn content(
        &mut self,
        mut file: File,
        content: &mut impl Read,
    ) -> io::Result<io::Result<Option<&'static str>>> {
        let [wanted, there] = &mut self.buffers;
        loop {
            let length = match content.read(wanted) {
                Ok(0) => return Ok(Ok(None)),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if let Err(error) = file.read_exact(&mut there[..length]) {
                return Ok(Err(error));
            }
            if wanted[..length] != there[..length] {
                return Ok(Ok(Some(CONTENT)));
            }
        }
    }

    /// Nothing of the trees below may show through a directory that hides them.
    fn hidden(&mut self) {
        for path in std::mem::take(&mut self.opaque) {
            let Ok(entries) = self.view.open_dir(&path).and_then(|dir| dir.entries()) else {
                // It was replaced since, or is noted as lost.
                continue;
            };
            for (name, _) in entries {
                let path = path.join(name);
                if !self.made.0.contains(&self.made.1.hash_one(&path)) {
                    self.note(&path, BACK, None);
                }
            }
        }
    }

    fn stat(&self, path: &Path) -> io::Result<(Dir, Stat)> {
        let path = clean(path).unwrap_or_default();
        let (dir, name) = self.view.parent(&path)?;
        let stat = dir.stat(&name)?;
        Ok((dir, stat))
    }

    fn note(&mut self, path: &Path, what: &str, target: Option<PathBuf>) {
        if self.found.len() < MOST {
            let what = what.to_owned();
            self.found.insert(path.to_owned(), Found { what, target });
        }
    }

    /// What was noted of a place, of what hides it and of what leads there, is for a new entry to say; of what is below it,
    /// too, when that goes.
    fn forget(&mut self, path: &Path, below: bool) {
        self.found.retain(|noted, found| {
            let above = path.starts_with(noted) && found.what == BACK;
            let same = if below {
                noted.starts_with(path)
            } else {
                noted == path
            };
            !same && !above && found.target.as_deref() != Some(path)
        });
    }

    fn remember(&mut self, path: &Path) {
        let (made, state) = &mut self.made;
        for path in path.ancestors() {
            if !made.insert(state.hash_one(path)) {
                break;
            }
        }
    }
}

/// Owner and mode, of what has them.
fn other_attributes(entry: &Entry, stat: &Stat) -> Option<&'static str> {
    let mode = matches!(entry.kind, Kind::Symlink(_)) || stat.mode == entry.mode;
    let same = mode && owner(entry).is_ok_and(|owner| owner == (stat.uid, stat.gid));
    (!same).then_some(ATTRIBUTES)
}

/// Extended attributes. Of those that are gone only capabilities count: others were perhaps never taken by this file system.
fn other_xattrs(
    dir: &Dir,
    name: &std::ffi::OsStr,
    entry: &Entry,
) -> io::Result<Option<&'static str>> {
    for (key, value) in xattrs(entry) {
        let same = match dir.xattr(name, key)? {
            Some(found) => found == value,
            None => key != "security.capability",
        };
        if !same {
            return Ok(Some(ATTRIBUTES));
        }
    }
    Ok(None)
}
