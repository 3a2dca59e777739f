//! Internet sockets as a proxy needs them: bound with the right options before the bind, never waiting, and for datagrams
//! the address that they were sent to.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, sockopt,
};
use rustix::pipe::SpliceFlags;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Room for one IP_PKTINFO or IPV6_PKTINFO message.
const CONTROL: usize = 64;

fn socket(
    address: SocketAddr,
    kind: SocketType,
    protocol: Option<Protocol>,
) -> io::Result<OwnedFd> {
    let (family, v6) = match address {
        SocketAddr::V4(_) => (AddressFamily::INET, false),
        SocketAddr::V6(_) => (AddressFamily::INET6, true),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(family, kind, flags, protocol)?;
    if v6 {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    Ok(fd)
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("a few bytes")
}

/// A listening TCP socket. For IPv6 it takes IPv6 alone.
pub fn listen_tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let fd = socket(address, SocketType::STREAM, None)?;
    // Connections of an earlier owner that only wait for their last packets are no reason to refuse.
    sockopt::set_socket_reuseaddr(&fd, true)?;
    rustix::net::bind(&fd, &address)?;
    rustix::net::listen(&fd, BACKLOG)?;
    Ok(fd)
}

/// A bound UDP socket that tells where a datagram was sent to ([`recv_from`]). For IPv6 it takes IPv6 alone.
pub fn bind_udp(address: SocketAddr) -> io::Result<OwnedFd> {
    let fd = socket(address, SocketType::DGRAM, None)?;
    let (level, option) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    let one: libc::c_int = 1;
    // SAFETY: setsockopt reads one int from a local that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const one).cast(),
            length_of::<libc::c_int>(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    rustix::net::bind(&fd, &address)?;
    Ok(fd)
}

/// A listening SCTP socket, where the kernel has the protocol.
pub fn listen_sctp(address: SocketAddr) -> io::Result<OwnedFd> {
    let fd = socket(address, SocketType::STREAM, Some(ipproto::SCTP))?;
    rustix::net::bind(&fd, &address)?;
    rustix::net::listen(&fd, BACKLOG)?;
    Ok(fd)
}

/// Begins a TCP connection; it is established, or has failed, when the socket can be written.
pub fn begin_tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let fd = socket(address, SocketType::STREAM, None)?;
    sockopt::set_socket_keepalive(&fd, true)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    match rustix::net::connect(&fd, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(fd),
        Err(error) => Err(error.into()),
    }
}

/// A UDP socket with one partner, on a port that the kernel chose.
pub fn connect_udp(address: SocketAddr) -> io::Result<OwnedFd> {
    let fd = socket(address, SocketType::DGRAM, None)?;
    rustix::net::connect(&fd, &address)?;
    Ok(fd)
}

/// Takes the next connection and where it comes from; it never waits and is kept alive.
pub fn accept_tcp(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::accept_with(listener, flags)?;
    sockopt::set_socket_keepalive(&fd, true)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    Ok(fd)
}

/// Says whether a failure is for want of descriptors, of this process or of the machine.
pub fn out_of_descriptors(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// Whether a connection begun is established; fails when it has failed.
pub fn is_connected(fd: BorrowedFd<'_>) -> io::Result<bool> {
    sockopt::socket_error(fd)?.map_err(io::Error::from)?;
    match rustix::net::getpeername(fd) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::NOTCONN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The address a socket is bound to.
pub fn local_address(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let address = rustix::net::getsockname(fd)?;
    SocketAddr::try_from(address).map_err(|_| io::ErrorKind::AddrNotAvailable.into())
}

/// Moves bytes between a pipe and a socket without copying them; never waits. Zero: the end of the stream.
pub fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    Ok(rustix::pipe::splice(from, None, to, None, most, flags)?)
}

/// A pipe whose ends never wait: reading end, writing end.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK;
    Ok(rustix::pipe::pipe_with(flags)?)
}

/// Gives a pipe room for so many bytes.
pub fn set_pipe_size(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    rustix::pipe::fcntl_setpipe_size(fd, bytes)?;
    Ok(())
}

/// Resets a connection when it is closed, instead of ending it in order.
pub fn reset_on_close(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(sockopt::set_socket_linger(
        fd,
        Some(std::time::Duration::ZERO),
    )?)
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Its bytes; more than the buffer had room for are lost.
    pub length: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// Which of the host's addresses it was sent to.
    pub to: Option<IpAddr>,
}

/// Receives one datagram of a socket of [`bind_udp`].
pub fn recv_from(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Datagram> {
    let mut name = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut control = [0_u64; CONTROL / 8];
    let mut data = [IoSliceMut::new(buffer)];
    // SAFETY: all-zero is a valid msghdr, the pointers follow.
    let mut header = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    header.msg_name = name.as_mut_ptr().cast();
    header.msg_namelen = length_of::<libc::sockaddr_storage>();
    header.msg_iov = data.as_mut_ptr().cast();
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = CONTROL;
    // SAFETY: every pointer in `header` leads to a local of the length beside it; IoSliceMut has iovec's layout.
    let length = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
    let Ok(length) = usize::try_from(length) else {
        return Err(io::Error::last_os_error());
    };
    // SAFETY: zeroed at first, then filled by the kernel: initialised either way.
    let name = unsafe { name.assume_init() };
    let from = socket_address(&name).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Datagram {
        length,
        from,
        to: destination(&header),
    })
}

fn socket_address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let pointer = std::ptr::from_ref(name);
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which kind of address this is, and the storage is larger and aligned for each.
            let four = unsafe { &*pointer.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(four.sin_addr.s_addr));
            Some((ip, u16::from_be(four.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let six = unsafe { &*pointer.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(six.sin6_addr.s6_addr);
            let port = u16::from_be(six.sin6_port);
            // The scope is kept: a link-local partner is reached through its interface alone.
            Some(std::net::SocketAddrV6::new(ip, port, 0, six.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn destination(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: a header that recvmsg has filled.
    let message = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: null, or a message inside the control buffer, which is aligned for it.
    let found = unsafe { message.as_ref() }?;
    // SAFETY: the data behind the message's header, inside the control buffer.
    let data = unsafe { libc::CMSG_DATA(message) };
    match (found.cmsg_level, found.cmsg_type) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            // SAFETY: the type says what the data is; it may be unaligned.
            let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
            Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into())
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            // SAFETY: the type says what the data is; it may be unaligned.
            let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
            Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
        }
        _ => None,
    }
}

/// Sends one datagram from one of the host's addresses, or from whichever the route suggests.
pub fn send_to(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    to: SocketAddr,
    from: Option<IpAddr>,
) -> io::Result<()> {
    let Some(from) = from else {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::net::sendto(fd, bytes, flags, &to)?;
        return Ok(());
    };
    let address = rustix::net::SocketAddrAny::from(to);
    let mut control = [0_u64; CONTROL / 8];
    let mut data = [io::IoSlice::new(bytes)];
    // SAFETY: all-zero is a valid msghdr, the pointers follow.
    let mut header = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    header.msg_name = address.as_ptr().cast_mut().cast();
    header.msg_namelen = address.addr_len();
    header.msg_iov = data.as_mut_ptr().cast();
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = CONTROL;
    match from {
        IpAddr::V4(from) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from(from).to_be(),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            attach(&mut header, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        IpAddr::V6(from) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: from.octets(),
                },
                ipi6_ifindex: 0,
            };
            attach(&mut header, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: every pointer in `header` leads to a local of the length beside it; nothing is written through them.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, flags) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Writes the one control message of a header whose control buffer has room for it.
fn attach<T: Copy>(header: &mut libc::msghdr, level: i32, kind: i32, value: T) {
    let length = u32::try_from(size_of::<T>()).expect("a few bytes");
    // SAFETY: arithmetic alone.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(length) } as usize;
    debug_assert!(header.msg_controllen <= CONTROL, "the buffer has room");
    // SAFETY: the control buffer is aligned and has room for one message of this size.
    let message = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: as above; not null, as the buffer has room.
    let found = unsafe { &mut *message };
    found.cmsg_level = level;
    found.cmsg_type = kind;
    // SAFETY: arithmetic alone.
    found.cmsg_len = unsafe { libc::CMSG_LEN(length) } as usize;
    // SAFETY: the place behind the header, inside the buffer.
    let data = unsafe { libc::CMSG_DATA(message) };
    // SAFETY: `T` fits there; the place may be unaligned for it.
    unsafe { data.cast::<T>().write_unaligned(value) };
}

/// Receives from a connected socket what is there; never waits.
pub fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(fd, buffer, RecvFlags::DONTWAIT)?.1)
}

/// Sends through a connected socket; never waits.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Ok(rustix::net::send(fd, bytes, flags)?)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_datagram_tells_where_it_was_sent_and_is_answered_from_there() {
        let server = bind_udp("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = local_address(server.as_fd()).unwrap().port();
        let client = connect_udp(format!("127.0.0.9:{port}").parse().unwrap()).unwrap();
        send(client.as_fd(), b"question").unwrap();
        let mut buffer = [0; 64];
        let found = recv_from(server.as_fd(), &mut buffer).unwrap();
        assert_eq!(&buffer[..found.length], b"question");
        assert_eq!(found.to, Some("127.0.0.9".parse().unwrap()));
        // The client is connected: an answer from another address would not reach it.
        send_to(server.as_fd(), b"answer", found.from, found.to).unwrap();
        let length = recv(client.as_fd(), &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"answer");
    }

    #[test]
    fn a_port_in_use_is_refused() {
        let first = listen_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = local_address(first.as_fd()).unwrap();
        let error = listen_tcp(address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
