//! The engine's side of the protocol: one request at a time, with an end to patience.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use sys::poll::{Interest, Poll};
use sys::process::PidFd;
use sys::socket::SeqPacket;
use sys::spawn::{Groups, Spawned};

use crate::protocol::{CONTROL_FD, LISTEN_FD, Reply, Request, SOCKET, VERSION};

/// netd answers within microseconds; one that does not is taken for dead.
const PATIENCE: Duration = Duration::from_secs(5);

const KILL: i32 = 9;

/// A connection to a running netd.
#[derive(Debug)]
pub struct Client {
    socket: SeqPacket,
    process: PidFd,
}

impl Client {
    /// Finds the netd that an earlier daemon left running; `None`: there is none, or it speaks otherwise and was sent away.
    pub fn adopt(exec_root: &Path) -> Option<Self> {
        let socket = SeqPacket::connect(&exec_root.join(SOCKET)).ok()?;
        let hello = ask(&socket, &Request::Hello { version: VERSION }, &[]);
        let Ok(Reply::Hello { version, pid }) = hello else {
            return None;
        };
        let process = PidFd::open(i32::try_from(pid).ok()?).ok()?;
        let client = Self { socket, process };
        if version == VERSION {
            return Some(client);
        }
        drop(client.call(&Request::Retire, &[]));
        drop(client.process.ends_within(PATIENCE));
        None
    }

    /// Starts a netd. The engine's program is `executable`; the process enters these control groups.
    pub fn spawn(exec_root: &Path, executable: &OwnedFd, groups: &Groups) -> io::Result<Self> {
        let path = exec_root.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = SeqPacket::listen(&path)?;
        let (ours, theirs) = SeqPacket::pair()?;
        let Spawned { pidfd, .. } = sys::spawn::spawn(
            executable,
            &[c"corten".to_owned(), c"netd".to_owned()],
            &[],
            &[(theirs.as_fd(), CONTROL_FD), (listener.as_fd(), LISTEN_FD)],
            true,
            groups,
        )?;
        Ok(Self {
            socket: ours,
            process: PidFd::from_fd(pidfd),
        })
    }

    /// Asks and waits for the answer. A failure means that this netd is of no use any more.
    pub fn call(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> io::Result<Reply> {
        ask(&self.socket, request, fds)
    }

    /// Readable once netd has ended.
    pub fn process(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }

    /// Ends it if it has not, and leaves no zombie where it was this process's child.
    pub fn bury(self) {
        drop(self.process.send_signal(KILL));
        drop(self.process.ends_within(PATIENCE));
        drop(self.process.wait());
    }
}

fn ask(socket: &SeqPacket, request: &Request, fds: &[BorrowedFd<'_>]) -> io::Result<Reply> {
    let bytes = postcard::to_allocvec(request).map_err(io::Error::other)?;
    socket.send(&bytes, fds)?;
    let mut poll = Poll::new();
    poll.add(socket.as_fd(), Interest::Read);
    if poll.wait(Some(PATIENCE))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut buffer = Vec::new();
    let (length, _) = socket.recv(&mut buffer)?;
    if length == 0 {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    postcard::from_bytes(&buffer).map_err(io::Error::other)
}
