//! A container's own DNS server: sockets in its namespace, and rules there that lead 127.0.0.11:53 to them.
//!
//! The sockets stand at ports of the kernel's choice, so that a name server in the container finds port 53 free on every
//! address. Where the kernel has no nftables they stand at port 53 itself.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use sys::netlink::{Protocol, Refused, Socket};
use sys::{inet, netns};

use crate::nft::{self, Chain, EQUAL, Family, Hook, Meta, REGISTER, Rule, Table};
use crate::{Error, Result};

/// Where a container's resolv.conf leads.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const TABLE: &str = "corten-dns";
const DNS: u16 = 53;
const UDP: u8 = 17;
const TCP: u8 = 6;
const DESTINATION: u32 = 16;

/// Makes the sockets of a container's server: for datagrams, for connections.
pub(crate) fn open(netns: BorrowedFd<'_>) -> Result<Vec<OwnedFd>> {
    netns::enter(netns, || {
        let (sockets, ports) = bind(0)?;
        if redirect(ports).is_ok() {
            return Ok(sockets);
        }
        drop(sockets);
        bind(DNS).map(|(sockets, _)| sockets)
    })
    .and_then(|made| made)
    .map_err(Error::io(
        "listen at 127.0.0.11 in the container's namespace",
    ))
}

/// Sockets and their ports: UDP, TCP.
fn bind(port: u16) -> io::Result<(Vec<OwnedFd>, [u16; 2])> {
    let address = SocketAddr::new(ADDRESS.into(), port);
    let (udp, tcp) = (inet::bind_udp(address)?, inet::listen_tcp(address)?);
    let ports = [
        inet::local_address(udp.as_fd())?.port(),
        inet::local_address(tcp.as_fd())?.port(),
    ];
    Ok((vec![udp, tcp], ports))
}

/// Leads the well-known port to those, in the calling thread's namespace. Anew where an earlier one stands: a netd that died.
fn redirect([udp, tcp]: [u16; 2]) -> std::result::Result<(), Refused> {
    let socket = Socket::open(Protocol::Netfilter)?;
    let table = Table {
        family: Family::V4,
        name: TABLE,
    };
    let mut messages = table.renew().to_vec();
    let rules = vec![lead(UDP, udp), lead(TCP, tcp)];
    let output = Chain::new("output", Hook::destinations(Hook::OUTPUT), rules);
    messages.extend(table.chains([output]));
    let changed = nft::change(&socket, messages);
    close_behind(socket);
    changed
}

/// Closes a socket on a thread of its own: the kernel first frees what was replaced through it, for ten milliseconds and more
/// (`nft_rcv_nl_event`).
fn close_behind(socket: Socket) {
    // Where no thread can be had it is closed here.
    let closing = thread::Builder::new().name("nftables".to_owned());
    drop(closing.spawn(move || drop(socket)));
}

fn lead(protocol: u8, port: u16) -> Rule {
    Rule::default()
        .network(REGISTER, DESTINATION, 4)
        .compare(REGISTER, EQUAL, ADDRESS.octets().to_vec())
        .meta(REGISTER, Meta::Transport)
        .compare(REGISTER, EQUAL, vec![protocol])
        .transport(REGISTER, 2, 2)
        .compare(REGISTER, EQUAL, DNS.to_be_bytes().to_vec())
        .load(REGISTER, ADDRESS.octets().to_vec())
        .load(REGISTER + 1, port.to_be_bytes().to_vec())
        .destination(Family::V4, REGISTER, REGISTER + 1)
}
