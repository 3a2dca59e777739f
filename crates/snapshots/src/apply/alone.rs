//! A layer unpacked while the trees below it are not there yet.
//!
//! Most layers can be: what they delete becomes overlayfs's own marks, and what is left to check is small. A layer whose
//! result depends on what lies below (a hard link to a lower file, a file that becomes a directory) is recognised, given
//! up, and unpacked in its turn. A directory that it does not bring itself is made and gets its attributes at the end.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sys::root::{Dir, FileKind, RootDir, Stat};

use super::{Applied, Behind, Limits, Unpack, absent, at};
use crate::Error;
use crate::archive::{Entry, Kind};

/// overlayfs's mark of a deleted file.
pub(super) const DELETED: FileKind = FileKind::Character { major: 0, minor: 0 };
/// overlayfs's mark of a directory through which nothing shows.
const OPAQUE: (&str, &[u8]) = ("trusted.overlay.opaque", b"y");

/// A layer that was unpacked alone, and what of it is still to be compared with the trees below.
#[derive(Debug)]
pub struct Alone {
    /// What came of it.
    pub applied: Applied,
    notes: Notes,
    directories: Vec<PathBuf>,
}

/// What is kept for later.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The result depends on what lies below.
    depends: bool,
    /// The layer says itself whose the root is.
    pub(super) root: bool,
    /// Where marks of deleted files are.
    marks: Vec<PathBuf>,
    /// Directories that were made for what is in them.
    pub(super) borrowed: BTreeSet<PathBuf>,
    /// Those of them in which this layer makes something.
    filled: HashSet<PathBuf>,
}

impl Notes {
    /// Notes where an entry is made; whether that is new. Whether a directory is a new one is seen later.
    pub(super) fn fill(&mut self, path: &Path, entry: &Entry) -> bool {
        let Some(parent) = path.parent() else {
            return false;
        };
        let directory = entry.kind == Kind::Node(FileKind::Directory);
        !directory
            && !self.borrowed.is_empty()
            && !self.filled.contains(parent)
            && self.filled.insert(parent.to_owned())
    }
}

/// Unpacks an archive with nothing below; `None` when its result depends on what will be.
pub(crate) fn layer(
    view: &RootDir,
    reader: &mut dyn Read,
    limits: &Limits,
    disk: Option<Dir>,
) -> Result<Option<Alone>, Error> {
    let mut unpack = Unpack::new(view, limits);
    unpack.behind = disk.map(Behind::new);
    unpack.alone = Some(Notes::default());
    let done = unpack.all(reader);
    let notes = unpack.alone.take().unwrap_or_default();
    if notes.depends {
        return Ok(None);
    }
    done?;
    Ok(Some(Alone {
        applied: unpack.applied,
        notes,
        directories: unpack
            .directories
            .into_iter()
            .map(|(path, _)| path)
            .collect(),
    }))
}

/// Compares a layer that was unpacked alone with the trees below; false when it must be unpacked over them after all.
///
/// Marks that delete nothing go: in a directory that is not merged they would be seen.
pub(crate) fn settle(own: &RootDir, below: &RootDir, alone: &Alone) -> io::Result<bool> {
    for path in &alone.directories {
        let Some(name) = path.file_name() else {
            continue;
        };
        // A directory that stays keeps the attributes that it had below.
        let kept = match below.parent(path) {
            Err(error) if absent(&error) => continue,
            other => other?,
        };
        match kept.0.stat(name) {
            Ok(stat) if stat.kind == FileKind::Directory => {}
            Ok(_) => continue,
            Err(error) if absent(&error) => continue,
            Err(error) => return Err(error),
        }
        if !kept.0.xattr_names(name)?.is_empty() {
            return Ok(false);
        }
    }
    if !alone.notes.root {
        let (from, to) = (below.dir()?.stat_self()?, own.dir()?);
        to.set_self(from.uid, from.gid, from.mode, None)?;
    }
    let mut merged = Merged {
        own,
        below,
        known: HashMap::new(),
    };
    if !lend(&mut merged, alone)? {
        return Ok(false);
    }
    for path in &alone.notes.marks {
        let (dir, name) = own.parent(path)?;
        if dir.stat(&name).is_ok_and(|stat| stat.kind == DELETED) && !merged.shows(path)? {
            let before = dir.stat_self()?;
            dir.remove_file(&name)?;
            dir.set_self(before.uid, before.gid, before.mode, Some(before.modified))?;
        }
    }
    Ok(true)
}

/// What a directory is below.
#[derive(Clone, Copy)]
enum Lower {
    Same(Stat),
    Absent,
    /// It is no directory, or is reached by a link, or is hidden.
    Other,
}

/// What directories of a layer are below, each looked at once: they may be thousands deep.
struct Merged<'a> {
    own: &'a RootDir,
    below: &'a RootDir,
    known: HashMap<&'a Path, Lower>,
}

impl<'a> Merged<'a> {
    /// What a directory is below, which depends on all that it is in. Nothing for the root.
    fn lower(&mut self, path: &'a Path) -> io::Result<Option<Lower>> {
        let mut unknown = Vec::new();
        let mut lower = None;
        for path in path.ancestors().filter(|path| path.file_name().is_some()) {
            lower = self.known.get(path).copied();
            if lower.is_some() {
                break;
            }
            unknown.push(path);
        }
        for path in unknown.into_iter().rev() {
            let found = match lower {
                None | Some(Lower::Same(_)) => self.look(path)?,
                Some(above) => above,
            };
            self.known.insert(path, found);
            lower = Some(found);
        }
        Ok(lower)
    }

    /// What a directory is in one that is the same below.
    fn look(&self, path: &Path) -> io::Result<Lower> {
        let (dir, name) = self.own.parent(path)?;
        if dir.xattr(&name, OsStr::new(OPAQUE.0))?.is_some() {
            return Ok(Lower::Other);
        }
        // Links below are not followed: overlayfs merges directories alone.
        match self.below.stat(path, false) {
            Ok(stat) if stat.kind == FileKind::Directory => Ok(Lower::Same(stat)),
            Ok(_) => Ok(Lower::Other),
            Err(error) if absent(&error) => Ok(Lower::Absent),
            Err(error) => Err(error),
        }
    }

    /// Whether the trees below have something at this path that no directory of this one hides.
    fn shows(&mut self, path: &'a Path) -> io::Result<bool> {
        let parent = path.parent().unwrap_or(Path::new(""));
        match self.lower(parent)? {
            None | Some(Lower::Same(_)) => {}
            Some(_) => return Ok(false),
        }
        match self.below.stat(path, false) {
            Ok(_) => Ok(true),
            Err(error) if absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Gives borrowed directories what they have below; false when one of them is not simply the same directory.
///
/// One in which nothing was made keeps its time, too.
fn lend<'a>(merged: &mut Merged<'a>, alone: &'a Alone) -> io::Result<bool> {
    let (own, below) = (merged.own, merged.below);
    let brought: HashSet<&Path> = alone.directories.iter().map(PathBuf::as_path).collect();
    let filled = alone.notes.filled.iter().map(PathBuf::as_path);
    let (mut filled, mut lent) = (filled.collect::<HashSet<&Path>>(), Vec::new());
    for path in &alone.notes.borrowed {
        if brought.contains(path.as_path()) || !is_directory(own, path)? {
            continue;
        }
        match merged.lower(path)? {
            Some(Lower::Same(stat)) if is_plain(below, path)? => lent.push((path, stat)),
            Some(Lower::Absent) => filled.extend(path.parent()),
            _ => return Ok(false),
        }
    }
    if !lent.is_empty() {
        for path in &alone.directories {
            if !is_directory(below, path)? {
                filled.extend(path.parent());
            }
        }
    }
    for (path, stat) in lent {
        let time = (!filled.contains(path.as_path())).then_some(stat.modified);
        own.open_dir(path)?
            .set_self(stat.uid, stat.gid, stat.mode, time)?;
    }
    Ok(true)
}

/// Whether there is a directory of this path.
fn is_directory(tree: &RootDir, path: &Path) -> io::Result<bool> {
    match tree.stat(path, false) {
        Ok(stat) => Ok(stat.kind == FileKind::Directory),
        Err(error) if absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a directory has nothing beside owner, mode and time.
fn is_plain(tree: &RootDir, path: &Path) -> io::Result<bool> {
    let (dir, name) = tree.parent(path)?;
    Ok(dir.xattr_names(&name)?.is_empty())
}

impl Unpack<'_> {
    /// Notes that the result depends on what lies below.
    pub(super) fn depends_io(&mut self) -> io::Error {
        if let Some(notes) = &mut self.alone {
            notes.depends = true;
        }
        io::Error::other("the layer depends on those below it")
    }

    /// The same, for callers with an error of this crate.
    pub(super) fn depends(&mut self) -> Error {
        Error::Layer(self.depends_io().to_string())
    }

    /// Whether this layer itself made what a path names.
    pub(super) fn is_own(&self, path: &Path) -> bool {
        self.view
            .parent(path)
            .and_then(|(dir, name)| dir.stat(&name))
            .is_ok_and(|stat| stat.kind != DELETED)
    }

    /// Marks a file as deleted.
    pub(super) fn mark(&mut self, dir: &Dir, path: &Path, hidden: &OsStr) -> io::Result<()> {
        dir.create_node(hidden, DELETED, 0)?;
        if let Some(notes) = &mut self.alone {
            notes
                .marks
                .push(path.parent().unwrap_or(Path::new("")).join(hidden));
        }
        Ok(())
    }

    /// Marks a directory as one through which nothing shows.
    pub(super) fn mark_opaque(&mut self, path: &Path) -> Result<(), Error> {
        // The root of an overlay takes no such mark.
        let Some(name) = path.file_name() else {
            return Err(self.depends());
        };
        let borrowed = |notes: &Notes| notes.borrowed.contains(path);
        if !self.is_own(path) || self.alone.as_ref().is_some_and(borrowed) {
            return Err(self.depends());
        }
        self.view
            .parent(path)
            .and_then(|(dir, _)| match dir.stat(name)?.kind {
                FileKind::Directory => dir.set_xattr(name, OsStr::new(OPAQUE.0), OPAQUE.1),
                _ => Err(self.depends_io()),
            })
            .map_err(at("mark", path))
    }
}
