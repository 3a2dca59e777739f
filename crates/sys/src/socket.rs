//! Unix sockets of whole packets (SOCK_SEQPACKET) with descriptors riding along.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};

/// Descriptors that one packet can carry.
pub const MAX_FDS: usize = 64;

/// The largest packet: an exec's whole environment fits. Memory is taken only while a packet is under way.
const PACKET: usize = 2 * 1024 * 1024;

/// A connected or listening packet socket.
#[derive(Debug)]
pub struct SeqPacket {
    fd: OwnedFd,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl SeqPacket {
    fn new() -> io::Result<Self> {
        let fd = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok(Self::sized(fd))
    }

    /// Makes room for large packets; without the privilege the default (208 KiB) stays.
    fn sized(fd: OwnedFd) -> Self {
        let forced = sockopt::set_socket_send_buffer_size_force(&fd, PACKET);
        forced
            .or_else(|_| sockopt::set_socket_send_buffer_size(&fd, PACKET))
            .ok();
        Self { fd }
    }

    /// Two sockets connected to each other.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self::sized(a), Self::sized(b)))
    }

    /// Takes an inherited or received socket.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Connects to the socket at `path`. A path too long for a socket address (108 bytes) goes through its directory.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = Self::new()?;
        with_address(path, |address| {
            Ok(rustix::net::connect(&socket.fd, address)?)
        })?;
        Ok(socket)
    }

    /// Listens at `path`, which is created with mode 0600 and must not exist.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let socket = Self::new()?;
        // The inode takes its mode from the socket's own, so there is no moment at which others may connect.
        rustix::fs::fchmod(&socket.fd, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
        with_address(path, |address| Ok(rustix::net::bind(&socket.fd, address)?))?;
        rustix::net::listen(&socket.fd, 16)?;
        Ok(socket)
    }

    /// Takes the next connection.
    pub fn accept(&self) -> io::Result<Self> {
        Ok(Self::sized(rustix::net::accept_with(
            &self.fd,
            SocketFlags::CLOEXEC,
        )?))
    }

    /// Chooses whether calls wait (as they do at first) or fail with `WouldBlock`.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        Ok(rustix::io::ioctl_fionbio(&self.fd, nonblocking)?)
    }

    /// Sends one packet, with at most [`MAX_FDS`] descriptors.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let data = [IoSlice::new(bytes)];
        retry(|| rustix::net::sendmsg(&self.fd, &data, &mut control, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// Receives one packet into `buffer`, which is replaced by it, whatever its size. Zero bytes: the other end is gone
    /// (nobody sends empty packets).
    pub fn recv(&self, buffer: &mut Vec<u8>) -> io::Result<(usize, Vec<OwnedFd>)> {
        let probe = RecvFlags::PEEK | RecvFlags::TRUNC;
        let (_, size) = retry(|| rustix::net::recv(&self.fd, &mut [0_u8; 1][..], probe))?;
        buffer.clear();
        buffer.resize(size, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut data = [IoSliceMut::new(buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = retry(|| rustix::net::recvmsg(&self.fd, &mut data, &mut control, flags))?;
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        buffer.truncate(received.bytes);
        Ok((received.bytes, fds))
    }

    /// Who connected, as the kernel recorded it then.
    pub fn peer(&self) -> io::Result<Peer> {
        peer_credentials(self.fd.as_fd())
    }
}

/// Credentials of the other end of any connected unix socket.
pub fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<Peer> {
    let peer = sockopt::socket_peercred(fd)?;
    Ok(Peer {
        pid: peer.pid.as_raw_nonzero().get(),
        uid: peer.uid.as_raw(),
        gid: peer.gid.as_raw(),
    })
}

/// Sends what there is room for now, whatever mode the stream socket is in; never raises SIGPIPE.
pub fn send_now(fd: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Ok(retry(|| {
        rustix::net::sendmsg(fd, parts, &mut SendAncillaryBuffer::default(), flags)
    })?)
}

/// Receives what is there now, whatever mode the stream socket is in. Zero: the other end sends no more.
pub fn recv_now(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(retry(|| rustix::net::recv(fd, &mut *buffer, RecvFlags::DONTWAIT))?.1)
}

/// Says whether the other end has yet to take what was sent through a unix socket.
pub fn has_unread(fd: BorrowedFd<'_>) -> bool {
    let mut waiting: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (TIOCOUTQ by its other name) stores one int.
    let result = unsafe {
        libc::ioctl(
            std::os::fd::AsRawFd::as_raw_fd(&fd),
            libc::TIOCOUTQ,
            &raw mut waiting,
        )
    };
    result == 0 && waiting > 0
}

/// Ends one direction of a stream socket: the other end reads its end of file.
pub fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::net::shutdown(fd, rustix::net::Shutdown::Write)?)
}

impl AsFd for SeqPacket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl std::os::fd::AsRawFd for SeqPacket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

impl From<SeqPacket> for OwnedFd {
    fn from(socket: SeqPacket) -> Self {
        socket.fd
    }
}

fn with_address<T>(path: &Path, act: impl Fn(&SocketAddrUnix) -> io::Result<T>) -> io::Result<T> {
    match SocketAddrUnix::new(path) {
        Ok(address) => act(&address),
        Err(rustix::io::Errno::NAMETOOLONG) => {
            let (parent, name) = path
                .parent()
                .zip(path.file_name())
                .ok_or(io::ErrorKind::InvalidInput)?;
            let flags = rustix::fs::OFlags::PATH
                | rustix::fs::OFlags::DIRECTORY
                | rustix::fs::OFlags::CLOEXEC;
            let directory = rustix::fs::open(parent, flags, rustix::fs::Mode::empty())?;
            let number = std::os::fd::AsRawFd::as_raw_fd(&directory);
            act(&SocketAddrUnix::new(
                Path::new(&format!("/proc/self/fd/{number}")).join(name),
            )?)
        }
        Err(error) => Err(error.into()),
    }
}

fn retry<T>(mut act: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match act() {
            Err(rustix::io::Errno::INTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests;
