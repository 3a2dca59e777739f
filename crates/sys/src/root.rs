//! Paths below a directory that somebody else may fill with anything: a container's root, a layer, a build context.
//!
//! Every lookup goes through `openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)`: absolute paths, `..` and symbolic links
//! stay inside. What changes a directory does so through [`Dir`], which takes one name, never a path, and never follows
//! a link in that name.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

pub use rustix::fs::OFlags as OpenFlags;
use rustix::fs::{self, AtFlags, Mode, ResolveFlags};

mod dir;
mod remove;

pub use dir::{Dir, FileKind, Stat, Timestamp, set_attributes, sync_filesystem};

/// How often a lookup is repeated when the kernel reports a rename in its way (`EAGAIN`).
const LOOKUP_RETRIES: usize = 128;

/// A directory that acts as the root of every lookup.
#[derive(Debug)]
pub struct RootDir(OwnedFd);

impl RootDir {
    /// Opens a directory of the host as a root.
    pub fn open_path(path: &Path) -> io::Result<Self> {
        let flags = OpenFlags::PATH | OpenFlags::DIRECTORY | OpenFlags::CLOEXEC;
        Ok(Self(fs::open(path, flags, Mode::empty())?))
    }

    /// Takes an open directory (a detached mount, too) as a root.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Gives the directory back.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Opens what a path names inside the root. Close-on-exec and no controlling terminal, always.
    pub fn open(&self, path: &Path, flags: OpenFlags, mode: u32) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        // A path descriptor refuses any flag that is not about paths.
        let noctty = if flags.contains(OpenFlags::PATH) {
            OpenFlags::empty()
        } else {
            OpenFlags::NOCTTY
        };
        let creates = flags.intersects(OpenFlags::CREATE | OpenFlags::TMPFILE);
        let mode = if creates {
            Mode::from_raw_mode(mode & 0o7777)
        } else {
            Mode::empty()
        };
        for _ in 0..LOOKUP_RETRIES {
            match fs::openat2(
                &self.0,
                path,
                flags | noctty | OpenFlags::CLOEXEC,
                mode,
                ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
            ) {
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
        Err(io::Error::from(rustix::io::Errno::AGAIN))
    }

    /// Opens a directory for lookups only.
    pub fn open_dir(&self, path: &Path) -> io::Result<Dir> {
        Ok(Dir::from_fd(self.open(
            path,
            OpenFlags::PATH | OpenFlags::DIRECTORY,
            0,
        )?))
    }

    /// The metadata of what a path names; a link in the last name is followed when `follow` is set.
    pub fn stat(&self, path: &Path, follow: bool) -> io::Result<Stat> {
        let last = if follow {
            OpenFlags::empty()
        } else {
            OpenFlags::NOFOLLOW
        };
        let fd = self.open(path, OpenFlags::PATH | last, 0)?;
        dir::stat_fd(fd.as_fd())
    }

    /// Reads a small regular file. Refuses anything else without waiting for it, and anything above `max` bytes.
    pub fn read_small(&self, path: &Path, max: u64) -> io::Result<Vec<u8>> {
        // A path descriptor first: opening a device for reading may already have an effect.
        let handle = self.open(path, OpenFlags::PATH, 0)?;
        let stat = dir::stat_fd(handle.as_fd())?;
        if stat.kind != FileKind::Regular {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        let flags =
            OpenFlags::RDONLY | OpenFlags::NONBLOCK | OpenFlags::NOCTTY | OpenFlags::CLOEXEC;
        let file = self.open(path, flags, 0)?;
        let again = dir::stat_fd(file.as_fd())?;
        if (again.device, again.inode) != (stat.device, stat.inode) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "file was exchanged while it was opened",
            ));
        }
        let mut bytes = Vec::new();
        File::from(file)
            .take(max.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("larger than {max} bytes"),
            ));
        }
        Ok(bytes)
    }

    /// Makes a directory and its missing parents; links on the way are followed inside the root.
    pub fn create_dir_all(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        let flags = OpenFlags::PATH | OpenFlags::DIRECTORY;
        match self.open(path, flags, 0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let mut done = PathBuf::new();
        for component in path.components() {
            let name = match component {
                Component::Normal(name) => name,
                Component::ParentDir => {
                    done.push("..");
                    continue;
                }
                _ => continue,
            };
            done.push(name);
            match self.open(&done, flags, 0) {
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            let (parent, name) = self.parent(&done)?;
            match parent.create_dir(&name, mode) {
                // The mode is what was asked for, whatever the umask is.
                Ok(()) => parent.set_mode(&name, mode)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        self.open(path, flags, 0)
    }

    /// Splits a path into its parent directory, opened, and its last name.
    ///
    /// Refuses a path without a last name (`/`, `.`, `a/..`).
    pub fn parent(&self, path: &Path) -> io::Result<(Dir, OsString)> {
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path has no last name",
            ));
        };
        Ok((self.open_dir(parent)?, name.to_owned()))
    }

    /// The root itself as a directory.
    pub fn dir(&self) -> io::Result<Dir> {
        Ok(Dir::from_fd(self.0.try_clone()?))
    }
}

impl AsFd for RootDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Refuses whatever is not one plain name: empty, `.`, `..`, with a slash or a NUL.
fn single_name(name: &OsStr) -> io::Result<&OsStr> {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = name.as_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a file name",
        ));
    }
    Ok(name)
}

/// Whether an entry of this name exists, links not followed.
fn exists(fd: BorrowedFd<'_>, name: &OsStr) -> io::Result<bool> {
    match fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
