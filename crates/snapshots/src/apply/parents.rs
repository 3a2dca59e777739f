//! Directories on the way to entries, which the archive brings later or not at all.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use sys::root::{Dir, FileKind};

use super::{Unpack, absent, at};
use crate::Error;

impl Unpack<'_> {
    /// The directory of an entry, made when neither this layer nor one below has it.
    pub(super) fn parent(&mut self, path: &Path) -> Result<Dir, Error> {
        match self.parent.take() {
            Some((cached, dir)) if cached == path => return Ok(dir),
            _ => {}
        }
        match self.view.open_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make_way(path),
            // The trees below may have a directory there.
            Err(error) if self.alone.is_some() && absent(&error) => Err(self.depends()),
            other => other.map_err(at("open directory", path)),
        }
    }

    /// Makes a directory with those above it, each once however deep it is.
    fn make_way(&mut self, path: &Path) -> Result<Dir, Error> {
        let mut dir = self.view.dir().map_err(at("open", Path::new("/")))?;
        let mut walked = PathBuf::new();
        for name in path {
            walked.push(name);
            dir = match dir.stat(name) {
                Ok(stat) if stat.kind == FileKind::Directory => {
                    dir.open_dir(name).map_err(at("open directory", &walked))?
                }
                Err(error) if absent(&error) => self.make_one(&dir, name, &walked)?,
                // What is no directory here, or leads elsewhere, is for a sequential unpack.
                _ if self.alone.is_some() => return Err(self.depends()),
                // A link, which stays inside the root.
                Ok(_) => self
                    .view
                    .open_dir(&walked)
                    .map_err(at("open directory", &walked))?,
                Err(error) => return Err(at("open directory", &walked)(error)),
            };
        }
        Ok(dir)
    }

    fn make_one(&mut self, parent: &Dir, name: &OsStr, path: &Path) -> Result<Dir, Error> {
        if self.alone.is_some() {
            // Those below may have it: whether there are too many is then seen in a sequential unpack.
            self.count().map_err(|_| self.depends())?;
        } else {
            self.count()?;
        }
        let made = parent
            .create_dir(name, 0o755)
            .and_then(|()| parent.open_dir(name));
        let dir = made.map_err(at("create directory", path))?;
        // Whatever the umask was, and the group of a directory that hands its own down.
        dir.set_self(0, 0, 0o755, None)
            .map_err(at("create directory", path))?;
        if let Some(notes) = &mut self.alone {
            notes.borrowed.insert(path.to_owned());
            self.keep(path)?;
        }
        Ok(dir)
    }
}
