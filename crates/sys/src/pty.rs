//! Pseudo-terminals, of the host or of a container's own devpts.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;

/// Both ends of a pseudo-terminal.
#[derive(Debug)]
pub struct Pty {
    /// The side of whoever looks at it.
    pub master: OwnedFd,
    /// The side of the process that is run in it.
    pub slave: OwnedFd,
}

/// Opens a terminal of the devpts that `directory` (an open `/dev` or `/dev/pts`) belongs to.
///
/// The slave is opened through the master (TIOCGPTPEER): nothing in the directory can stand in for it.
pub fn open_in(directory: BorrowedFd<'_>) -> io::Result<Pty> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    from_master(rustix::fs::openat(directory, "ptmx", flags, Mode::empty())?)
}

/// Opens a terminal of this process's own devpts.
pub fn open() -> io::Result<Pty> {
    from_master(rustix::pty::openpt(
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )?)
}

fn from_master(master: OwnedFd) -> io::Result<Pty> {
    rustix::pty::unlockpt(&master)?;
    let slave = peer(master.as_fd())?;
    Ok(Pty { master, slave })
}

/// Opens the slave of a master.
pub fn peer(master: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::pty::ioctl_tiocgptpeer(
        master,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )?)
}

/// The slave's name, such as `/dev/pts/3`, as the devpts it belongs to is usually mounted.
pub fn name(master: BorrowedFd<'_>) -> io::Result<String> {
    rustix::pty::ptsname(master, Vec::new())?
        .into_string()
        .map_err(io::Error::other)
}

/// Makes a terminal the controlling terminal of the calling process, which must lead a session without one.
pub fn make_controlling(slave: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::process::ioctl_tiocsctty(slave)?)
}
