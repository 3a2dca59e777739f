//! Monitors that are spawned before there is a container for them: a start hands its container to one that waits.
//!
//! A monitor that waits holds nothing but its end of a socket, and ends when the other end does: with this engine, however
//! that ends.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use monitor::protocol::{ARGUMENTS, CONTROL_FD, Handover};
use sys::process::PidFd;
use sys::socket::SeqPacket;
use sys::spawn::{Groups, Spawned};

/// How many wait.
const KEEP: usize = 8;

/// How long one that waits may take to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// A monitor, with or without a container.
#[derive(Debug)]
pub(crate) struct Monitor {
    /// Our end of its control socket.
    pub(crate) socket: SeqPacket,
    /// The process.
    pub(crate) process: Arc<PidFd>,
}

/// What a monitor gets beside the launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handed<'a> {
    /// The container's root, a detached mount.
    pub(crate) rootfs: &'a OwnedFd,
    /// The network namespace, if it is not the host's.
    pub(crate) netns: Option<&'a OwnedFd>,
    /// Our own program runs as the container's init.
    pub(crate) init: bool,
}

/// Those that wait, and how to make more.
#[derive(Debug)]
pub(crate) struct Monitors {
    executable: OwnedFd,
    groups: Arc<Groups>,
    /// None: closed.
    waiting: Mutex<Option<Vec<Monitor>>>,
    refilling: Mutex<()>,
}

impl Monitors {
    /// None waits yet. Monitors execute this program and enter these control groups.
    pub(crate) fn new(executable: OwnedFd, groups: Arc<Groups>) -> Self {
        Self {
            executable,
            groups,
            waiting: Mutex::new(Some(Vec::new())),
            refilling: Mutex::default(),
        }
    }

    /// Spawns until enough of them wait; one caller at a time does.
    pub(crate) fn refill(&self) {
        let Ok(_one) = self.refilling.try_lock() else {
            return;
        };
        while self.lock().as_ref().is_some_and(|list| list.len() < KEEP) {
            // A start that finds none meets the same failure, and tells it.
            let Ok(monitor) = self.spawn() else { break };
            if let Some(list) = &mut *self.lock() {
                list.push(monitor);
            }
        }
    }

    /// Gives a container (an encoded launch) to a monitor.
    pub(crate) fn hand_over(&self, launch: &[u8], handed: Handed<'_>) -> io::Result<Monitor> {
        let launch = sys::memfd::sealed("launch", launch)?;
        let handover = Handover {
            rootfs: true,
            netns: handed.netns.is_some(),
            executable: handed.init,
        };
        let mut fds = vec![launch.as_fd(), handed.rootfs.as_fd()];
        fds.extend(handed.netns.map(AsFd::as_fd));
        fds.extend(handed.init.then(|| self.executable.as_fd()));
        let packet = postcard::to_allocvec(&handover).map_err(io::Error::other)?;
        while let Some(monitor) = self.take() {
            // One that somebody has killed while it waited is passed over.
            if monitor.socket.send(&packet, &fds).is_ok() {
                return Ok(monitor);
            }
        }
        let monitor = self.spawn()?;
        monitor.socket.send(&packet, &fds)?;
        Ok(monitor)
    }

    /// Ends those that wait, and lets none wait any more.
    pub(crate) fn close(&self) {
        let waiting = self.lock().take().unwrap_or_default();
        let processes: Vec<_> = waiting.into_iter().map(|one| one.process).collect();
        for process in processes {
            // One that does not end holds on to our control group, and to nothing else.
            process.ends_within(PATIENCE).ok();
        }
    }

    fn take(&self) -> Option<Monitor> {
        self.lock().as_mut()?.pop()
    }

    fn spawn(&self) -> io::Result<Monitor> {
        let (ours, theirs) = SeqPacket::pair()?;
        let args = ARGUMENTS.map(CStr::to_owned);
        let fds: [(BorrowedFd<'_>, i32); 1] = [(theirs.as_fd(), CONTROL_FD)];
        let Spawned { pidfd, .. } =
            sys::spawn::spawn(&self.executable, &args, &[], &fds, true, &self.groups)?;
        Ok(Monitor {
            socket: ours,
            process: Arc::new(PidFd::from_fd(pidfd)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Monitor>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
