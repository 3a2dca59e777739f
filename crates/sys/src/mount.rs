//! The mount API by file descriptors: a mount is made detached, dressed, and then moved into place.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use crate::process::{SingleThreaded, cvt};

/// Attributes of a mount (MOUNT_ATTR_*).
pub mod attribute {
    /// Nothing may be written.
    pub const READ_ONLY: u64 = 0x1;
    /// Set-user-id bits have no effect.
    pub const NO_SUID: u64 = 0x2;
    /// Device nodes have no effect.
    pub const NO_DEV: u64 = 0x4;
    /// Nothing may be executed.
    pub const NO_EXEC: u64 = 0x8;
    /// The access time bits; to be cleared before one is set.
    pub const ATIME: u64 = 0x70;
    /// Access times are not kept.
    pub const NO_ATIME: u64 = 0x10;
    /// Access times are always kept.
    pub const STRICT_ATIME: u64 = 0x20;
    /// Access times of directories are not kept.
    pub const NO_DIR_ATIME: u64 = 0x80;
    /// Symbolic links are not followed.
    pub const NO_SYMFOLLOW: u64 = 0x0020_0000;
}

/// How mounts and unmounts spread (MS_*).
pub mod propagation {
    /// Cannot be bound, nothing spreads.
    pub const UNBINDABLE: u64 = 1 << 17;
    /// Nothing spreads.
    pub const PRIVATE: u64 = 1 << 18;
    /// Spreads in only.
    pub const SLAVE: u64 = 1 << 19;
    /// Spreads both ways.
    pub const SHARED: u64 = 1 << 20;
}

/// Magic numbers of file systems (statfs).
pub mod magic {
    /// procfs.
    pub const PROC: i64 = 0x9fa0;
    /// devpts.
    pub const DEVPTS: i64 = 0x1cd1;
    /// cgroup2.
    pub const CGROUP2: i64 = 0x6367_7270;
}

const AT_RECURSIVE: u32 = 0x8000;

/// Which bits of a mount change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear.
    pub clear: u64,
    /// New propagation, or 0.
    pub propagation: u64,
}

/// Makes a file system of this type, with options as `key=value` or a bare `flag`, and a detached mount of it.
pub fn filesystem(
    kind: &str,
    source: &str,
    options: &[(&str, Option<&str>)],
    attributes: u64,
) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    if !source.is_empty() {
        rustix::mount::fsconfig_set_string(context.as_fd(), "source", source)?;
    }
    for (key, value) in options {
        match value {
            Some(value) => rustix::mount::fsconfig_set_string(context.as_fd(), *key, *value)?,
            None => rustix::mount::fsconfig_set_flag(context.as_fd(), *key)?,
        }
    }
    rustix::mount::fsconfig_create(context.as_fd())?;
    let attributes = u32::try_from(attributes).map_err(io::Error::other)?;
    let attributes = MountAttrFlags::from_bits_retain(attributes);
    Ok(rustix::mount::fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

/// A detached copy of the mount at a path of the caller's; links are followed.
pub fn clone_path(path: &Path, recursive: bool) -> io::Result<OwnedFd> {
    Ok(rustix::mount::open_tree(
        rustix::fs::CWD,
        path,
        tree_flags(recursive),
    )?)
}

/// A detached copy of the mount at what `fd` is open on.
pub fn clone_fd(fd: BorrowedFd<'_>, recursive: bool) -> io::Result<OwnedFd> {
    Ok(rustix::mount::open_tree(
        fd,
        "",
        tree_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH,
    )?)
}

fn tree_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags | OpenTreeFlags::AT_RECURSIVE
    } else {
        flags
    }
}

/// Puts a detached mount onto what `target` is open on.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount, "", target, "", flags)?)
}

/// Changes attributes of the mount that `fd` is, with `recursive` of all below it.
pub fn change(fd: BorrowedFd<'_>, recursive: bool, change: Change) -> io::Result<()> {
    set_attributes(fd.as_raw_fd(), c"", recursive, change)
}

/// Changes how mounts spread from and to the whole tree of this mount namespace.
pub fn change_root_propagation(_: &SingleThreaded, propagation: u64) -> io::Result<()> {
    let change = Change {
        propagation,
        ..Change::default()
    };
    set_attributes(libc::AT_FDCWD, c"/", true, change)
}

fn set_attributes(
    fd: i32,
    path: &std::ffi::CStr,
    recursive: bool,
    change: Change,
) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        userns: u64,
    }
    let attributes = Attributes {
        set: change.set,
        clear: change.clear,
        propagation: change.propagation,
        userns: 0,
    };
    let mut flags = 0_u32;
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH as u32;
    }
    if recursive {
        flags |= AT_RECURSIVE;
    }
    // SAFETY: a C string and an attribute block of the size given, both read only during the call.
    cvt(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    })
    .map(drop)
}

/// Makes the mount that `root` is, attached in this mount namespace, the root directory, and lets the old one go.
///
/// The old root is stacked under `.` for a moment (pivot_root(2), "pivot_root(".", ".")"), so no directory is needed
/// for it. The caller's mounts must not be shared with anybody.
pub fn pivot_root(_: &SingleThreaded, root: BorrowedFd<'_>) -> io::Result<()> {
    rustix::process::fchdir(root)?;
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir("/")?)
}

/// Type of the file system that `fd` lies on (see [`magic`]).
pub fn filesystem_magic(fd: BorrowedFd<'_>) -> io::Result<i64> {
    Ok(rustix::fs::fstatfs(fd)?.f_type)
}

/// The device number (major, minor) when `fd` is open on a character device.
pub fn character_device(fd: BorrowedFd<'_>) -> io::Result<Option<(u32, u32)>> {
    let stat = rustix::fs::fstat(fd)?;
    let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
    let number = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    Ok((kind == rustix::fs::FileType::CharacterDevice).then_some(number))
}

/// Whether `fd` is open on a pipe.
pub fn is_pipe(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo)
}

/// Gives what `fd` is open on to a user, leaving the group.
pub fn give_to(fd: BorrowedFd<'_>, uid: u32) -> io::Result<()> {
    Ok(rustix::fs::fchown(
        fd,
        Some(rustix::fs::Uid::from_raw(uid)),
        None,
    )?)
}

/// Opens the host's `/dev/null` by path descriptor, and makes sure that it is that device (CVE-2025-31133).
pub fn null_device() -> io::Result<OwnedFd> {
    let flags =
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
    let fd = rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty())?;
    match character_device(fd.as_fd())? {
        Some((1, 3)) => Ok(fd),
        _ => Err(io::Error::other("/dev/null is not the null device")),
    }
}

/// A procfs that nobody can have mounted anything over: the only way in which a runtime writes to /proc.
#[derive(Debug)]
pub struct TrustedProc(OwnedFd);

impl TrustedProc {
    /// A detached procfs of this process's namespaces.
    pub fn new() -> io::Result<Self> {
        Ok(Self(filesystem("proc", "proc", &[], 0)?))
    }

    /// Takes a procfs mount just made.
    pub fn from_mount(fd: OwnedFd) -> io::Result<Self> {
        if filesystem_magic(fd.as_fd())? != magic::PROC {
            return Err(io::Error::other("not a procfs"));
        }
        Ok(Self(fd))
    }

    /// Writes to one file, which must lie on this procfs and not below a mount.
    pub fn write(&self, path: &str, value: &str) -> io::Result<()> {
        let how = rustix::fs::ResolveFlags::BENEATH
            | rustix::fs::ResolveFlags::NO_XDEV
            | rustix::fs::ResolveFlags::NO_MAGICLINKS;
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
        let fd = rustix::fs::openat2(&self.0, path, flags, rustix::fs::Mode::empty(), how)?;
        rustix::io::write(&fd, value.as_bytes())?;
        Ok(())
    }
}

/// Makes a device node in a directory, mode and owner exactly as given.
pub fn make_node(
    directory: BorrowedFd<'_>,
    name: &str,
    kind: Node,
    mode: u32,
    owner: (u32, u32),
) -> io::Result<()> {
    use rustix::fs::{AtFlags, FileType, Mode};
    let (kind, major, minor) = match kind {
        Node::Character(major, minor) => (FileType::CharacterDevice, major, minor),
        Node::Block(major, minor) => (FileType::BlockDevice, major, minor),
        Node::Fifo => (FileType::Fifo, 0, 0),
    };
    let mode = Mode::from_raw_mode(mode & 0o7777);
    rustix::fs::mknodat(
        directory,
        name,
        kind,
        mode,
        rustix::fs::makedev(major, minor),
    )?;
    if owner != (0, 0) {
        let (uid, gid) = (
            rustix::fs::Uid::from_raw(owner.0),
            rustix::fs::Gid::from_raw(owner.1),
        );
        rustix::fs::chownat(
            directory,
            name,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
    }
    Ok(())
}

/// Kind and number of a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A character device.
    Character(u32, u32),
    /// A block device.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
}

/// Opens a namespace or any other file for a descriptor only.
pub fn open_readable(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: a C string that lives until after the call.
    let fd = cvt(unsafe {
        libc::open(
            path.as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOCTTY,
        )
    }
    .into())?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: just opened, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
