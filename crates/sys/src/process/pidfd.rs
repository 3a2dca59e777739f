//! A process held by a descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::{Ended, send_signal};

/// A process by descriptor: never another one with the same number.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens a process by number.
    pub fn open(pid: i32) -> io::Result<Self> {
        let pid = rustix::process::Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let flags = rustix::process::PidfdFlags::empty();
        Ok(Self(rustix::process::pidfd_open(pid, flags)?))
    }

    /// Takes a descriptor.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// One more descriptor of the same process.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sends a signal.
    pub fn send_signal(&self, signal: i32) -> io::Result<()> {
        send_signal(self.0.as_fd(), signal)
    }

    /// Waits until the process, anybody's, has ended (reaped or not), or until the time is over; says whether it has.
    pub fn ends_within(&self, timeout: std::time::Duration) -> io::Result<bool> {
        let mut poll = crate::poll::Poll::new();
        poll.add(self.0.as_fd(), crate::poll::Interest::Read);
        Ok(poll.wait(Some(timeout))? > 0)
    }

    /// Waits until the process, a child of this one, has ended.
    pub fn wait(&self) -> io::Result<Ended> {
        let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
        loop {
            // SAFETY: `info` is a valid place for the result.
            let result = unsafe {
                libc::waitid(
                    libc::P_PIDFD,
                    self.0.as_raw_fd().cast_unsigned(),
                    info.as_mut_ptr(),
                    libc::WEXITED,
                )
            };
            if result == 0 {
                break;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        // SAFETY: zeroed at first and filled by waitid.
        let info = unsafe { info.assume_init() };
        // SAFETY: a SIGCHLD siginfo carries the status.
        let status = unsafe { info.si_status() };
        Ok(if info.si_code == libc::CLD_EXITED {
            Ended::Exited(status)
        } else {
            Ended::Signaled(status)
        })
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
