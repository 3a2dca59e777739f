//! A layer unpacked while the trees below it are not there yet.
//!
//! Most layers can be: what they delete becomes overlayfs's own marks, and what is left to check is small. A layer whose
//! result depends on what lies below (a hard link to a lower file, a file that becomes a directory) is recognised, given
//! up, and unpacked in its turn. A directory that it does not bring itself is made and gets its attributes at the end.

use std::collections::HashSet;
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
    /// Directories that were made for what is in them, each after its parent.
    borrowed: Vec<PathBuf>,
    /// Those of them in which this layer makes something.
    filled: HashSet<PathBuf>,
}

impl Notes {
    /// Notes where an entry is made. Whether a directory is a new one is seen later.
    pub(super) fn fill(&mut self, path: &Path, entry: &Entry) {
        let Some(parent) = path.parent() else { return };
        let directory = entry.kind == Kind::Node(FileKind::Directory);
        if !directory && !self.borrowed.is_empty() && !self.filled.contains(parent) {
            self.filled.insert(parent.to_owned());
        }
    }
}

/// Unpacks an archive with nothing below; `None` when its result depends on what will be.
pub(crate) fn layer(
    view: &RootDir,
    reader: &mut dyn Read,
    limits: &Limits,
    disk: Option<Dir>,
) -> Result<Option<Alone>, Error> {
    let mut unpack = Unpack::new(view);
    unpack.behind = disk.map(Behind::new);
    unpack.alone = Some(Notes::default());
    let done = unpack.all(reader, limits);
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
    if !lend(own, below, alone)? {
        return Ok(false);
    }
    for path in &alone.notes.marks {
        let (dir, name) = own.parent(path)?;
        if dir.stat(&name).is_ok_and(|stat| stat.kind == DELETED) && !shows(own, below, path)? {
            let before = dir.stat_self()?;
            dir.remove_file(&name)?;
            dir.set_self(before.uid, before.gid, before.mode, Some(before.modified))?;
        }
    }
    Ok(true)
}

/// What a borrowed directory is below.
enum Lower {
    Same(Stat),
    Absent,
    /// It has more than owner, mode and time, or is no directory, or is reached by a link, or is hidden.
    Other,
}

/// Gives borrowed directories what they have below; false when one of them is not simply the same directory.
///
/// One in which nothing was made keeps its time, too.
fn lend(own: &RootDir, below: &RootDir, alone: &Alone) -> io::Result<bool> {
    let (mut filled, mut lent) = (alone.notes.filled.clone(), Vec::new());
    for path in &alone.notes.borrowed {
        if alone.directories.contains(path) || !is_directory(own, path)? {
            continue;
        }
        match lower(own, below, path)? {
            Lower::Same(stat) => lent.push((path, stat)),
            Lower::Absent => filled.extend(path.parent().map(Path::to_owned)),
            Lower::Other => return Ok(false),
        }
    }
    if !lent.is_empty() {
        for path in &alone.directories {
            if !is_directory(below, path)? {
                filled.extend(path.parent().map(Path::to_owned));
            }
        }
    }
    for (path, stat) in lent {
        let time = (!filled.contains(path)).then_some(stat.modified);
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

fn lower(own: &RootDir, below: &RootDir, path: &Path) -> io::Result<Lower> {
    let mut found = None;
    let mut paths: Vec<&Path> = path.ancestors().collect();
    // The last one is the root.
    paths.pop();
    for path in paths.into_iter().rev() {
        let (dir, name) = own.parent(path)?;
        if dir.xattr(&name, OsStr::new(OPAQUE.0))?.is_some() {
            return Ok(Lower::Other);
        }
        match below.stat(path, false) {
            Ok(stat) if stat.kind == FileKind::Directory => found = Some(stat),
            Ok(_) => return Ok(Lower::Other),
            Err(error) if absent(&error) => return Ok(Lower::Absent),
            Err(error) => return Err(error),
        }
    }
    let (dir, name) = below.parent(path)?;
    Ok(match found {
        Some(stat) if dir.xattr_names(&name)?.is_empty() => Lower::Same(stat),
        _ => Lower::Other,
    })
}

/// Whether the trees below have something at this path that no directory of this one hides.
fn shows(own: &RootDir, below: &RootDir, path: &Path) -> io::Result<bool> {
    for directory in path.ancestors().skip(1) {
        let Some(name) = directory.file_name() else {
            break;
        };
        let (parent, _) = own.parent(directory)?;
        if parent.xattr(name, OsStr::new(OPAQUE.0))?.is_some() {
            return Ok(false);
        }
        // Links below are not followed: overlayfs merges directories alone.
        match below.stat(directory, false) {
            Ok(stat) if stat.kind == FileKind::Directory => {}
            Ok(_) => return Ok(false),
            Err(error) if absent(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    match below.stat(path, false) {
        Ok(_) => Ok(true),
        Err(error) if absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
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

    /// Makes a directory that only the trees below may have, with those above it. What is no directory, or leads
    /// elsewhere, is for a sequential unpack.
    pub(super) fn borrow(&mut self, path: &Path) -> Result<Dir, Error> {
        let mut dir = self.view.dir().map_err(at("open", Path::new("/")))?;
        let mut walked = PathBuf::new();
        for name in path {
            walked.push(name);
            match dir.stat(name) {
                Ok(stat) if stat.kind == FileKind::Directory => {}
                Err(error) if absent(&error) => {
                    dir.create_dir(name, 0o755)
                        .and_then(|()| dir.open_dir(name)?.set_self(0, 0, 0o755, None))
                        .map_err(at("create directory", &walked))?;
                    if let Some(notes) = &mut self.alone {
                        notes.borrowed.push(walked.clone());
                    }
                }
                _ => return Err(self.depends()),
            }
            dir = dir.open_dir(name).map_err(at("open directory", &walked))?;
        }
        Ok(dir)
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
        let borrowed = |notes: &Notes| notes.borrowed.iter().any(|borrowed| borrowed == path);
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
