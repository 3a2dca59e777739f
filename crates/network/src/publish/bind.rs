//! The sockets of published ports, bound in the host's namespace.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use netd::protocol::Protocol;
use sys::inet;

use super::{Bound, Port, PortRequest, Target};

/// How often a random port is tried that is free for IPv4 and not for IPv6.
const ATTEMPTS: usize = 32;

/// A port that could not be bound.
#[derive(Debug)]
pub(super) struct NotBound {
    pub(super) host: SocketAddr,
    pub(super) target: SocketAddr,
    pub(super) protocol: Protocol,
    pub(super) error: io::Error,
}

/// Binds one request: on one address, or on all of both families at the same port.
pub(super) fn bind(request: &PortRequest, target: Target) -> Result<Bound, NotBound> {
    let (first, last) = request.ports.unwrap_or((0, 0));
    let mut tried = 0;
    let mut port = first;
    loop {
        tried += 1;
        let again = if request.ports.is_none() {
            tried < ATTEMPTS
        } else {
            port < last
        };
        match bind_at(request, target, port) {
            Err(failure) if again && failure.error.kind() == io::ErrorKind::AddrInUse => {}
            other => return other,
        }
        if request.ports.is_some() {
            port += 1;
        }
    }
}

fn bind_at(request: &PortRequest, target: Target, port: u16) -> Result<Bound, NotBound> {
    let hosts = match request.host {
        Some(host) => vec![host],
        None => vec![
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ],
    };
    let mut bound = Bound::new();
    let mut port = port;
    for host in hosts {
        let Some(address) = target.of(host) else {
            continue;
        };
        let published = |port| Port {
            container: request.container,
            protocol: request.protocol,
            host,
            port,
        };
        if target.is_routed(address) {
            if address.is_ipv4() == host.is_ipv4() {
                bound.push((published(0), None));
            }
            continue;
        }
        let failed = |error| NotBound {
            host: (host, port).into(),
            target: (address, request.container).into(),
            protocol: request.protocol,
            error,
        };
        let fd = match socket(request.protocol, (host, port).into()) {
            Ok(fd) => fd,
            // A host without IPv6 is asked for it by nobody.
            Err(error) if request.host.is_none() && host.is_ipv6() && lacks_family(&error) => {
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        port = inet::local_address(fd.as_fd()).map_err(failed)?.port();
        bound.push((published(port), Some(fd)));
    }
    Ok(bound)
}

fn lacks_family(error: &io::Error) -> bool {
    // EAFNOSUPPORT: the kernel was built or started without it.
    error.raw_os_error() == Some(97) || error.kind() == io::ErrorKind::AddrNotAvailable
}

/// The socket of a port.
pub(super) fn socket(protocol: Protocol, address: SocketAddr) -> io::Result<OwnedFd> {
    match protocol {
        Protocol::Tcp => inet::listen_tcp(address),
        Protocol::Udp => inet::bind_udp(address),
        Protocol::Sctp => inet::listen_sctp(address),
    }
}
