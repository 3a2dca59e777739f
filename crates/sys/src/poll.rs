//! poll(2) over a list that is rebuilt for each wait and keeps its memory.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Until there is something to read (or the end of it).
    Read,
    /// Until there is room to write.
    Write,
    /// Either.
    Both,
    /// Only until the other end has gone.
    Hangup,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// A read will not wait: bytes, end of file or an error.
    pub readable: bool,
    /// A write will not wait: room or an error.
    pub writable: bool,
    /// The other end has gone, both ways.
    pub hangup: bool,
}

/// Descriptors to wait for.
#[derive(Debug, Default)]
pub struct Poll {
    fds: Vec<libc::pollfd>,
}

impl Poll {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.fds.clear();
    }

    /// Adds a descriptor; the answer is its place for [`Poll::ready`].
    pub fn add(&mut self, fd: BorrowedFd<'_>, interest: Interest) -> usize {
        let events = match interest {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
            Interest::Both => libc::POLLIN | libc::POLLOUT,
            Interest::Hangup => 0,
        };
        self.fds.push(libc::pollfd {
            fd: fd.as_raw_fd(),
            events,
            revents: 0,
        });
        self.fds.len() - 1
    }

    /// Waits until one is ready or the time is over; says how many are. A signal's arrival counts as none.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let timeout = timeout.map(|limit| libc::timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let limit = timeout
            .as_ref()
            .map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the array is ours and of the length given; a descriptor closed meanwhile is only reported as such.
        let ready = unsafe {
            libc::ppoll(
                self.fds.as_mut_ptr(),
                self.fds.len() as libc::nfds_t,
                limit,
                std::ptr::null(),
            )
        };
        usize::try_from(ready).or_else(|_| {
            let error = io::Error::last_os_error();
            for fd in &mut self.fds {
                fd.revents = 0;
            }
            if error.kind() == io::ErrorKind::Interrupted {
                Ok(0)
            } else {
                Err(error)
            }
        })
    }

    /// What the last wait found at a place.
    pub fn ready(&self, place: usize) -> Ready {
        let Some(fd) = self.fds.get(place) else {
            return Ready::default();
        };
        let broken = fd.revents & (libc::POLLERR | libc::POLLNVAL | libc::POLLHUP) != 0;
        Ready {
            readable: fd.revents & libc::POLLIN != 0 || broken,
            writable: fd.revents & libc::POLLOUT != 0 || broken,
            hangup: fd.revents & (libc::POLLHUP | libc::POLLERR) != 0,
        }
    }
}

/// Chooses whether reads and writes of this open file (all its descriptors) wait.
pub fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, nonblocking)?)
}

/// News of one signal, which must be blocked: a non-blocking descriptor that is readable while it is pending.
pub fn signal(number: i32) -> io::Result<OwnedFd> {
    let mut mask = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: initialises `mask`.
    unsafe { libc::sigemptyset(mask.as_mut_ptr()) };
    // SAFETY: `mask` was initialised above; a wrong number is refused.
    if unsafe { libc::sigaddset(mask.as_mut_ptr(), number) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `mask` is initialised and lives until after the call.
    let fd = unsafe { libc::signalfd(-1, mask.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes the pending signals of [`signal`].
pub fn drain_signal(signal: BorrowedFd<'_>) {
    let mut news = [0_u8; size_of::<libc::signalfd_siginfo>()];
    while matches!(rustix::io::read(signal, &mut news), Ok(1..)) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn reports_what_is_ready() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let mut poll = Poll::new();
        let place = poll.add(reader.as_fd(), Interest::Read);
        assert_eq!(poll.wait(Some(Duration::ZERO)).expect("waits"), 0);
        assert!(!poll.ready(place).readable);
        writer.write_all(b"x").expect("writes");
        assert_eq!(poll.wait(None).expect("waits"), 1);
        assert!(poll.ready(place).readable && !poll.ready(place).hangup);
        drop(writer);
        poll.wait(None).expect("waits");
        assert!(poll.ready(place).hangup);
    }
}
