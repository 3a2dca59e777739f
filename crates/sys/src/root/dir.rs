//! One directory, changed by single names, no link followed.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use super::{exists, single_name};

/// How deep a tree may be that is removed; deeper ones cannot be made by path, only step by step.
const MAX_DEPTH: usize = 4096;

/// A directory, opened.
#[derive(Debug)]
pub struct Dir(OwnedFd);

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A file with content.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    Character {
        /// Driver.
        major: u32,
        /// Unit of the driver.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Driver.
        major: u32,
        /// Unit of the driver.
        minor: u32,
    },
}

/// A point in time as files carry it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamp {
    /// Seconds since 1970, possibly negative.
    pub seconds: i64,
    /// Nanoseconds, below one second.
    pub nanoseconds: u32,
}

/// The metadata of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, set-id and sticky bits included.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// Space taken, in bytes.
    pub allocated: u64,
    /// Number of names.
    pub links: u32,
    /// Device of the filesystem.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Last change of the content.
    pub modified: Timestamp,
}

impl Dir {
    /// Takes an open directory.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Another descriptor of the same directory.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Whether there is an entry of this name.
    pub fn has(&self, name: &OsStr) -> io::Result<bool> {
        exists(self.0.as_fd(), single_name(name)?)
    }

    /// The metadata of an entry, itself a link or not.
    pub fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(stat_from(&fs::statat(
            &self.0,
            single_name(name)?,
            AtFlags::SYMLINK_NOFOLLOW,
        )?))
    }

    /// The metadata of the directory itself.
    pub fn stat_self(&self) -> io::Result<Stat> {
        stat_fd(self.0.as_fd())
    }

    /// Opens a subdirectory; a link is refused.
    pub fn open_dir(&self, name: &OsStr) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(fs::openat(
            &self.0,
            single_name(name)?,
            flags,
            Mode::empty(),
        )?))
    }

    /// Opens a regular file for reading; anything else is refused without waiting.
    pub fn open_file(&self, name: &OsStr) -> io::Result<File> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if self.stat(name)?.kind != FileKind::Regular {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        let file = fs::openat(&self.0, name, flags, Mode::empty())?;
        if stat_fd(file.as_fd())?.kind != FileKind::Regular {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        Ok(File::from(file))
    }

    /// Creates a regular file that did not exist.
    pub fn create_file(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(
            &self.0,
            single_name(name)?,
            flags,
            Mode::from_raw_mode(mode & 0o7777),
        )?))
    }

    /// Creates a directory.
    pub fn create_dir(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        Ok(fs::mkdirat(
            &self.0,
            single_name(name)?,
            Mode::from_raw_mode(mode & 0o7777),
        )?)
    }

    /// Creates a symbolic link; its text is kept as it is.
    pub fn create_symlink(&self, name: &OsStr, target: &OsStr) -> io::Result<()> {
        Ok(fs::symlinkat(target, &self.0, single_name(name)?)?)
    }

    /// Gives an entry of another directory a further name here; a link is linked, not followed.
    pub fn create_hard_link(&self, name: &OsStr, from: &Self, from_name: &OsStr) -> io::Result<()> {
        Ok(fs::linkat(
            &from.0,
            single_name(from_name)?,
            &self.0,
            single_name(name)?,
            AtFlags::empty(),
        )?)
    }

    /// Creates a device, a pipe or a socket.
    pub fn create_node(&self, name: &OsStr, kind: FileKind, mode: u32) -> io::Result<()> {
        let (kind, device) = match kind {
            FileKind::Fifo => (FileType::Fifo, 0),
            FileKind::Socket => (FileType::Socket, 0),
            FileKind::Character { major, minor } => {
                (FileType::CharacterDevice, fs::makedev(major, minor))
            }
            FileKind::Block { major, minor } => (FileType::BlockDevice, fs::makedev(major, minor)),
            FileKind::Regular | FileKind::Directory | FileKind::Symlink => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a node"));
            }
        };
        Ok(fs::mknodat(
            &self.0,
            single_name(name)?,
            kind,
            Mode::from_raw_mode(mode & 0o7777),
            device,
        )?)
    }

    /// Reads a symbolic link.
    pub fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        let target = fs::readlinkat(&self.0, single_name(name)?, Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// Sets owner and group of an entry. Clears set-id bits and capabilities, so it comes before both.
    pub fn set_owner(&self, name: &OsStr, uid: u32, gid: u32) -> io::Result<()> {
        set_owner_at(
            self.0.as_fd(),
            single_name(name)?,
            uid,
            gid,
            AtFlags::SYMLINK_NOFOLLOW,
        )
    }

    /// Sets the permission bits of an entry; a link is refused.
    pub fn set_mode(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        // fchmodat2 is of 6.6; a path descriptor through /proc does the same everywhere.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = fs::openat(&self.0, single_name(name)?, flags, Mode::empty())?;
        if stat_fd(fd.as_fd())?.kind == FileKind::Symlink {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a link has no mode",
            ));
        }
        Ok(fs::chmod(
            format!("/proc/self/fd/{}", fd.as_raw_fd()),
            Mode::from_raw_mode(mode & 0o7777),
        )?)
    }

    /// Sets the time of the last change of an entry.
    pub fn set_modified(&self, name: &OsStr, time: Timestamp) -> io::Result<()> {
        Ok(fs::utimensat(
            &self.0,
            single_name(name)?,
            &times(time),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Sets an extended attribute of an entry.
    pub fn set_xattr(&self, name: &OsStr, key: &OsStr, value: &[u8]) -> io::Result<()> {
        Ok(fs::lsetxattr(
            self.entry_path(name)?,
            key,
            value,
            XattrFlags::empty(),
        )?)
    }

    /// Reads an extended attribute of an entry.
    pub fn xattr(&self, name: &OsStr, key: &OsStr) -> io::Result<Option<Vec<u8>>> {
        let mut value = vec![0; 65536];
        match fs::lgetxattr(self.entry_path(name)?, key, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                Ok(Some(value))
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Names of all extended attributes of an entry.
    pub fn xattr_names(&self, name: &OsStr) -> io::Result<Vec<OsString>> {
        let mut list = vec![0; 65536];
        let length = match fs::llistxattr(self.entry_path(name)?, &mut list[..]) {
            Ok(length) => length,
            Err(Errno::OPNOTSUPP) => 0,
            Err(error) => return Err(error.into()),
        };
        let names = list[..length]
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty());
        Ok(names
            .map(|name| OsString::from_vec(name.to_vec()))
            .collect())
    }

    /// The path of an entry through this process's descriptors: the last name is not followed by the `l` calls.
    fn entry_path(&self, name: &OsStr) -> io::Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd())).join(single_name(name)?))
    }

    /// Removes what is not a directory.
    pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, single_name(name)?, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::unlinkat(
            &self.0,
            single_name(name)?,
            AtFlags::REMOVEDIR,
        )?)
    }

    /// Removes an entry and all below it; one that does not exist is done. Crosses no link.
    pub fn remove_all(&self, name: &OsStr) -> io::Result<()> {
        self.remove_below(name, 0)
    }

    fn remove_below(&self, name: &OsStr, depth: usize) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "directories nested too deeply",
            ));
        }
        match fs::unlinkat(&self.0, single_name(name)?, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        let child = self.open_dir(name)?;
        for (entry, _) in child.entries()? {
            child.remove_below(&entry, depth + 1)?;
        }
        self.remove_dir(name)
    }

    /// Where it is, from the top of its mount. Only in a mount that is attached nowhere: elsewhere it is a path of the
    /// host's.
    pub fn place(&self) -> io::Result<PathBuf> {
        let path = fs::readlink(format!("/proc/self/fd/{}", self.0.as_raw_fd()), Vec::new())?;
        let path = PathBuf::from(OsString::from_vec(path.into_bytes()));
        Ok(path.strip_prefix("/").map_or(path.clone(), Path::to_owned))
    }

    /// Names of all entries, each with whether the kernel says that it is a directory.
    pub fn entries(&self) -> io::Result<Vec<(OsString, bool)>> {
        self.some_entries(usize::MAX)
    }

    /// The first entries, at most `max`.
    pub(super) fn some_entries(&self, max: usize) -> io::Result<Vec<(OsString, bool)>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = fs::openat(&self.0, c".", flags, Mode::empty())?;
        let mut buffer = Vec::with_capacity(16 * 1024);
        let mut reader = RawDir::new(fd, buffer.spare_capacity_mut());
        let mut found = Vec::new();
        while let Some(entry) = reader.next().filter(|_| found.len() < max) {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                found.push((
                    OsStr::from_bytes(name).to_owned(),
                    entry.file_type() == FileType::Directory,
                ));
            }
        }
        Ok(found)
    }

    /// Sets owner, mode and time of the directory itself.
    pub fn set_self(
        &self,
        uid: u32,
        gid: u32,
        mode: u32,
        modified: Option<Timestamp>,
    ) -> io::Result<()> {
        set_owner_at(
            self.0.as_fd(),
            OsStr::new(""),
            uid,
            gid,
            AtFlags::EMPTY_PATH,
        )?;
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        fs::chmod(&path, Mode::from_raw_mode(mode & 0o7777))?;
        if let Some(time) = modified {
            fs::utimensat(fs::CWD, &path, &times(time), AtFlags::empty())?;
        }
        Ok(())
    }

    /// Sets an extended attribute of the directory itself.
    pub fn set_self_xattr(&self, key: &OsStr, value: &[u8]) -> io::Result<()> {
        let path = CString::new(format!("/proc/self/fd/{}", self.0.as_raw_fd()))?;
        Ok(fs::setxattr(&path, key, value, XattrFlags::empty())?)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sets owner, mode and time of an open file: three calls without a lookup, in the order in which none undoes another.
pub fn set_attributes(
    file: &File,
    (uid, gid): (u32, u32),
    mode: u32,
    modified: Timestamp,
) -> io::Result<()> {
    set_owner_at(file.as_fd(), OsStr::new(""), uid, gid, AtFlags::EMPTY_PATH)?;
    fs::fchmod(file, Mode::from_raw_mode(mode & 0o7777))?;
    Ok(fs::futimens(file, &times(modified))?)
}

/// Waits until all of the filesystem that holds `fd` is on its medium.
pub fn sync_filesystem(fd: BorrowedFd<'_>) -> io::Result<()> {
    // A path descriptor is refused by syncfs.
    let opened = fs::openat(fd, c".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(fs::syncfs(&opened)?)
}

/// The metadata of an open file.
pub(super) fn stat_fd(fd: BorrowedFd<'_>) -> io::Result<Stat> {
    Ok(stat_from(&fs::fstat(fd)?))
}

fn times(time: Timestamp) -> Timestamps {
    let time = Timespec {
        tv_sec: time.seconds,
        tv_nsec: i64::from(time.nanoseconds),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

fn set_owner_at(
    fd: BorrowedFd<'_>,
    name: &OsStr,
    uid: u32,
    gid: u32,
    flags: AtFlags,
) -> io::Result<()> {
    // All ones means "leave it" to the kernel, and is nobody's id.
    if uid == u32::MAX || gid == u32::MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "owner out of range",
        ));
    }
    let (uid, gid) = (fs::Uid::from_raw(uid), fs::Gid::from_raw(gid));
    Ok(fs::chownat(fd, name, Some(uid), Some(gid), flags)?)
}

fn stat_from(stat: &fs::Stat) -> Stat {
    let (major, minor) = (fs::major(stat.st_rdev), fs::minor(stat.st_rdev));
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Fifo => FileKind::Fifo,
        FileType::Socket => FileKind::Socket,
        FileType::CharacterDevice => FileKind::Character { major, minor },
        FileType::BlockDevice => FileKind::Block { major, minor },
        FileType::RegularFile | FileType::Unknown => FileKind::Regular,
    };
    Stat {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        allocated: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
        links: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
        device: stat.st_dev,
        inode: stat.st_ino,
        modified: Timestamp {
            seconds: stat.st_mtime,
            nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        },
    }
}
