//! A layer's archive, unpacked over the trees below it.
//!
//! The archive is written into a mounted view of all layers, so the result is by construction that of unpacking them one
//! after the other: whiteouts delete, hard links reach files of lower layers, missing parents keep what they were below.
//! Every change goes through a directory that was found inside the root, by one name, and follows no link.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use sys::root::{Dir, FileKind, RootDir, Timestamp, set_attributes};

use crate::Error;
use crate::archive::{Entry, Kind, Reader};

mod alone;
mod behind;
mod beyond;
mod bounded;
mod compare;
mod parents;

pub use alone::Alone;
pub(crate) use alone::{layer as layer_alone, settle};
use behind::Behind;
use bounded::Bounded;
pub use compare::Difference;
pub(crate) use compare::layer as compare;

const WHITEOUT: &[u8] = b".wh.";
const META: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const BUFFER: usize = 128 * 1024;

/// How large a layer may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most entries, together with directories that are made on the way to them.
    pub entries: u64,
    /// Most bytes of the whole archive, uncompressed.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 2_000_000,
            bytes: 64 << 30,
        }
    }
}

/// What came of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Number of entries.
    pub entries: u64,
    /// Length of all files and of what symbolic links say, together.
    pub size: u64,
}

/// Unpacks an archive into `view`; `layered` says whether other trees lie below it, `disk` where the bytes are to go early.
pub(crate) fn layer(
    view: &RootDir,
    reader: &mut dyn Read,
    layered: bool,
    limits: &Limits,
    disk: Option<Dir>,
) -> Result<Applied, Error> {
    let mut unpack = Unpack::new(view, limits);
    unpack.behind = disk.map(Behind::new);
    unpack.made = layered.then(|| (HashSet::new(), RandomState::new()));
    unpack.all(reader)?;
    Ok(unpack.applied)
}

fn damaged(error: io::Error) -> Error {
    Error::Layer(error.to_string())
}

struct Unpack<'a> {
    view: &'a RootDir,
    limits: Limits,
    /// Entries and directories so far.
    counted: u64,
    /// Bytes of paths that are kept until the end.
    kept: usize,
    /// The directory of the last entry: the next one is most often in it, too.
    parent: Option<(PathBuf, Dir)>,
    /// Hashes of all paths of this layer and their parents, which an opaque mark spares.
    made: Option<(HashSet<u64>, RandomState)>,
    /// Directories change when entries are made in them, so their times are set last.
    directories: Vec<(PathBuf, Timestamp)>,
    /// What is kept for later when the trees below are not there yet.
    alone: Option<alone::Notes>,
    behind: Option<Behind>,
    applied: Applied,
    buffer: Vec<u8>,
}

impl<'a> Unpack<'a> {
    fn new(view: &'a RootDir, limits: &Limits) -> Self {
        Self {
            view,
            limits: *limits,
            counted: 0,
            kept: 0,
            parent: None,
            made: None,
            directories: Vec::new(),
            alone: None,
            behind: None,
            applied: Applied {
                entries: 0,
                size: 0,
            },
            buffer: vec![0; BUFFER],
        }
    }

    fn all(&mut self, reader: &mut dyn Read) -> Result<(), Error> {
        let mut archive = Reader::new(Bounded {
            inner: reader,
            left: self.limits.bytes,
            max: self.limits.bytes,
        });
        while let Some(entry) = archive.next_entry().map_err(damaged)? {
            self.applied.entries += 1;
            self.count()?;
            self.entry(&entry, &mut archive)?;
            if let Some(behind) = &mut self.behind {
                behind.add(entry.size);
            }
        }
        // The digest is that of the whole stream, so all of it is read, within the same bounds.
        let mut rest = archive.into_inner();
        loop {
            match rest.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(damaged(error)),
            }
        }
        self.set_directory_times();
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, content: &mut impl Read) -> Result<(), Error> {
        let path = clean(&entry.path).ok_or_else(|| {
            Error::Layer(format!(
                "the path {:?} of an entry leads out of the layer",
                entry.path.to_string_lossy()
            ))
        })?;
        let Some(name) = path.file_name() else {
            return self.root(entry);
        };
        let bytes = name.as_bytes();
        if bytes == OPAQUE {
            return self.opaque(path.parent().unwrap_or(Path::new("")));
        }
        // What aufs kept for itself.
        if path
            .iter()
            .any(|component| component.as_bytes().starts_with(META))
        {
            return Ok(());
        }
        if let Some(hidden) = bytes.strip_prefix(WHITEOUT) {
            return self.whiteout(&path, OsStr::from_bytes(hidden));
        }
        let parent = self.parent(path.parent().unwrap_or(Path::new("")))?;
        let name = name.to_owned();
        if let Some(notes) = &mut self.alone
            && notes.fill(&path, entry)
        {
            self.keep(&path)?;
        }
        self.make(&parent, &name, entry, content)
            .map_err(at("create", &path))?;
        self.remember(&path);
        Self::attributes(&parent, &name, entry).map_err(at("set attributes of", &path))?;
        if entry.kind == Kind::Node(FileKind::Directory) {
            self.keep(&path)?;
            self.directories.push((path.clone(), entry.modified));
        }
        self.parent = Some((path.parent().unwrap_or(Path::new("")).to_owned(), parent));
        Ok(())
    }

    /// An entry for the root itself: only a directory, and only its attributes.
    fn root(&mut self, entry: &Entry) -> Result<(), Error> {
        if entry.kind != Kind::Node(FileKind::Directory) {
            return Err(Error::Layer(
                "the root of the layer is not a directory".to_owned(),
            ));
        }
        if let Some(notes) = &mut self.alone {
            notes.root = true;
        }
        let root = self.view.dir().map_err(at("open", Path::new("/")))?;
        let (uid, gid) = owner(entry).map_err(at("set owner of", Path::new("/")))?;
        root.set_self(uid, gid, entry.mode, None)
            .map_err(at("set attributes of", Path::new("/")))?;
        for (key, value) in xattrs(entry) {
            root.set_self_xattr(key, value)
                .or_else(unsupported)
                .map_err(at("set attributes of", Path::new("/")))?;
        }
        self.directories.push((PathBuf::new(), entry.modified));
        Ok(())
    }

    fn make(
        &mut self,
        parent: &Dir,
        name: &OsStr,
        entry: &Entry,
        content: &mut impl Read,
    ) -> io::Result<()> {
        for attempt in 0..2 {
            let made = match &entry.kind {
                Kind::Node(FileKind::Regular) => {
                    parent.create_file(name, 0o600).and_then(|mut file| {
                        self.applied.size += entry.size;
                        copy(content, &mut file, &mut self.buffer)?;
                        if entry.xattrs.is_empty() {
                            set_attributes(&file, owner(entry)?, entry.mode, entry.modified)?;
                        }
                        Ok(())
                    })
                }
                Kind::Node(FileKind::Directory) => parent.create_dir(name, 0o700),
                // To overlayfs this device is the mark of a deleted file.
                Kind::Node(FileKind::Character { major: 0, minor: 0 }) => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the device 0:0 is reserved",
                )),
                Kind::Node(kind) => parent.create_node(name, *kind, 0o600),
                Kind::Symlink(target) => parent.create_symlink(name, target).inspect(|()| {
                    self.applied.size += target.len() as u64;
                }),
                Kind::HardLink(target) => self.link(parent, name, target),
            };
            match made {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt == 0 => {}
                other => return other,
            }
            // A directory takes the place of a directory; anything else goes before its successor comes.
            let existing = parent.stat(name)?.kind;
            if existing == FileKind::Directory && entry.kind == Kind::Node(FileKind::Directory) {
                return Ok(());
            }
            if self.alone.is_some() && entry.kind == Kind::Node(FileKind::Directory) {
                // What the trees below have there must not show through.
                return Err(self.depends_io());
            }
            if let Kind::HardLink(target) = &entry.kind
                && self.is_linked(parent, name, target)?
            {
                return Ok(());
            }
            parent.remove_all(name)?;
        }
        Ok(())
    }

    /// Whether a name is one of this file's already: its removal could lose the file.
    fn is_linked(&self, parent: &Dir, name: &OsStr, target: &Path) -> io::Result<bool> {
        let Some(target) = clean(target).filter(|target| target.file_name().is_some()) else {
            return Ok(false);
        };
        let (from, from_name) = self.view.parent(&target)?;
        let (old, new) = (parent.stat(name)?, from.stat(&from_name)?);
        Ok((old.device, old.inode) == (new.device, new.inode))
    }

    fn link(&mut self, parent: &Dir, name: &OsStr, target: &Path) -> io::Result<()> {
        let target = clean(target).filter(|target| target.file_name().is_some());
        let target = target.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the link leads out of the layer",
            )
        })?;
        if self.alone.is_some() && !self.is_own(&target) {
            return Err(self.depends_io());
        }
        let (from, from_name) = self.view.parent(&target)?;
        parent.create_hard_link(name, &from, &from_name)
    }

    /// Owner first, as changing it clears set-id bits and capabilities; the time last.
    fn attributes(parent: &Dir, name: &OsStr, entry: &Entry) -> io::Result<()> {
        match entry.kind {
            Kind::HardLink(_) => return Ok(()),
            // Nearly every entry: set while the file was open.
            Kind::Node(FileKind::Regular) if entry.xattrs.is_empty() => return Ok(()),
            _ => {}
        }
        let (uid, gid) = owner(entry)?;
        parent.set_owner(name, uid, gid)?;
        if !matches!(entry.kind, Kind::Symlink(_)) {
            parent.set_mode(name, entry.mode)?;
        }
        for (key, value) in xattrs(entry) {
            parent.set_xattr(name, key, value).or_else(unsupported)?;
        }
        parent.set_modified(name, entry.modified)
    }

    /// Deletes what a lower layer has under the hidden name.
    fn whiteout(&mut self, path: &Path, hidden: &OsStr) -> Result<(), Error> {
        if matches!(hidden.as_bytes(), b"" | b"." | b"..") {
            return Err(Error::Layer(format!(
                "{:?} is no whiteout",
                path.to_string_lossy()
            )));
        }
        self.parent = None;
        let dir = match self.view.open_dir(path.parent().unwrap_or(Path::new(""))) {
            Err(error) if absent(&error) && self.alone.is_some() => return Err(self.depends()),
            Err(error) if absent(&error) => return Ok(()),
            other => other.map_err(at("open directory of", path))?,
        };
        dir.remove_all(hidden).map_err(at("apply whiteout", path))?;
        if self.alone.is_none() {
            return Ok(());
        }
        self.mark(&dir, path, hidden)
            .map_err(at("apply whiteout", path))?;
        self.keep(path)
    }

    /// Deletes what lower layers have in a directory.
    fn opaque(&mut self, path: &Path) -> Result<(), Error> {
        self.parent = None;
        if self.alone.is_some() {
            return self.mark_opaque(path);
        }
        if self.made.is_none() {
            return Ok(());
        }
        match self.view.open_dir(path) {
            Err(error) if absent(&error) => Ok(()),
            other => {
                let dir = other.map_err(at("open directory", path))?;
                self.clear(&dir, path)
            }
        }
    }

    fn clear(&mut self, dir: &Dir, path: &Path) -> Result<(), Error> {
        for (name, directory) in dir.entries().map_err(at("clear", path))? {
            let path = path.join(&name);
            let made = self.made.as_ref();
            if !made.is_some_and(|(made, state)| made.contains(&state.hash_one(&path))) {
                dir.remove_all(&name).map_err(at("clear", &path))?;
                continue;
            }
            // Many marks over many entries cost as much as so many entries.
            self.count()?;
            if directory {
                let dir = dir.open_dir(&name).map_err(at("clear", &path))?;
                self.clear(&dir, &path)?;
            }
        }
        Ok(())
    }

    fn remember(&mut self, path: &Path) {
        let Some((made, state)) = &mut self.made else {
            return;
        };
        for path in path.ancestors() {
            if !made.insert(state.hash_one(path)) {
                break;
            }
        }
    }

    /// Children first. What was replaced since is left alone.
    fn set_directory_times(&mut self) {
        for (path, time) in self.directories.iter().rev() {
            let set = match path.file_name() {
                None => self.view.dir().and_then(|dir| {
                    let stat = dir.stat_self()?;
                    dir.set_self(stat.uid, stat.gid, stat.mode, Some(*time))
                }),
                Some(_) => self.view.parent(path).and_then(|(parent, name)| {
                    match parent.stat(&name)?.kind {
                        FileKind::Directory => parent.set_modified(&name, *time),
                        _ => Ok(()),
                    }
                }),
            };
            // A directory that a later entry removed has no time.
            drop(set);
        }
    }
}

/// The path without its root, `.` and `..`; nothing when it leads above its beginning.
pub(crate) fn clean(path: &Path) -> Option<PathBuf> {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir if !cleaned.pop() => {
                return None;
            }
            _ => {}
        }
    }
    Some(cleaned)
}

fn copy(from: &mut impl Read, to: &mut std::fs::File, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        match from.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => to.write_all(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn owner(entry: &Entry) -> io::Result<(u32, u32)> {
    let id = |id: u64| match u32::try_from(id) {
        Ok(id) if id < u32::MAX => Ok(id),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{id} is no user or group"),
        )),
    };
    Ok((id(entry.uid)?, id(entry.gid)?))
}

/// Extended attributes, those apart by which overlayfs would take orders.
fn xattrs(entry: &Entry) -> impl Iterator<Item = (&OsString, &[u8])> {
    let control = |key: &OsString| {
        let key = key.as_bytes();
        key.starts_with(b"trusted.overlay.") || key.starts_with(b"user.overlay.")
    };
    entry
        .xattrs
        .iter()
        .filter(move |(key, _)| !control(key))
        .map(|(key, value)| (key, value.as_slice()))
}

/// Passes over an attribute that this filesystem or this kind of file does not have.
fn unsupported(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied => Ok(()),
        _ => Err(error),
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_string_lossy().into_owned();
    move |source| match source.kind() {
        // The archive's fault, found while its content was copied.
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge => {
            Error::Layer(format!("{action} {path:?}: {source}"))
        }
        _ => Error::Entry {
            action,
            path,
            source,
        },
    }
}
