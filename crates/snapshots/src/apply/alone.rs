//! A layer unpacked while the trees below it are not there yet.
//!
//! Most layers can be: what they delete becomes overlayfs's own marks, and what is left to check is small. A layer whose
//! result depends on what lies below (a hard link to a lower file, a directory that it does not bring itself, a file that
//! becomes a directory) is recognised, given up, and unpacked in its turn.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sys::root::{Dir, FileKind, RootDir};

use super::{Applied, Limits, Unpack, absent, at};
use crate::Error;

/// overlayfs's mark of a deleted file.
const DELETED: FileKind = FileKind::Character { major: 0, minor: 0 };
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
}

/// Unpacks an archive with nothing below; `None` when its result depends on what will be.
pub(crate) fn layer(
    view: &RootDir,
    reader: &mut dyn Read,
    limits: &Limits,
) -> Result<Option<Alone>, Error> {
    let mut unpack = Unpack::new(view);
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
        if !self.is_own(path) {
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
