//! A container's network namespace, and how one is made.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipnet::Ipv4Net;
use sys::netlink::{Protocol, Socket};
use sys::netns;

use crate::link::{self, Pair};
use crate::{Endpoint, Error, Result, sysctl};

const INTERFACE: &str = "eth0";
const LOOPBACK: u32 = 1;

/// Where a container runs as far as networks are concerned.
#[derive(Debug)]
pub struct Sandbox {
    /// Its network namespace, which lives as long as this descriptor or a process inside it; none: the host's.
    pub netns: Option<OwnedFd>,
    /// Its places on networks.
    pub endpoints: Vec<Endpoint>,
}

/// A network namespace with a place on one network, and nothing else.
#[derive(Debug)]
pub struct Connected {
    /// It lives as long as this descriptor or a process inside it; its interface dies with it.
    pub netns: OwnedFd,
    /// The place.
    pub endpoint: Endpoint,
}

/// Makes a network namespace with nothing but a loopback interface that is up.
pub fn net_none() -> Result<OwnedFd> {
    let (fd, inside) = netns::create(|_| {
        let socket = Socket::open(Protocol::Route)
            .map_err(Error::io("open netlink socket in new network namespace"))?;
        allow_unprivileged()?;
        socket
            .transact(&[link::up(LOOPBACK)])
            .map_err(Error::refused("bring up loopback interface"))
    })
    .map_err(Error::io("create network namespace"))?;
    inside.map(|()| fd)
}

/// What a new sandbox is attached to.
#[derive(Debug)]
pub(crate) struct Plug<'a> {
    pub(crate) host: &'a Socket,
    pub(crate) network_id: &'a str,
    pub(crate) network: &'a str,
    pub(crate) bridge: u32,
    pub(crate) mtu: u32,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) address: Ipv4Net,
}

/// Makes a sandbox. On failure nothing is left: the interfaces die with the namespace.
pub(crate) fn make(to: &Plug<'_>) -> Result<Connected> {
    let host_interface = random_name();
    let mac = link::mac_of(to.address.addr());
    let (netns, inside) = netns::create(|fd| fill(to, fd, &host_interface, mac))
        .map_err(Error::io("create network namespace"))?;
    inside?;
    attach(to, &host_interface, mac)?;
    let endpoint = Endpoint {
        id: stdx::id::random_hex(),
        network_id: to.network_id.to_owned(),
        network: to.network.to_owned(),
        interface: INTERFACE.to_owned(),
        host_interface,
        mac: link::mac_text(mac),
        ipv4: Some(to.address),
        gateway4: Some(to.gateway),
        ..Endpoint::default()
    };
    Ok(Connected { netns, endpoint })
}

/// Runs inside the new namespace: makes the pair through the host's socket, then configures this end.
fn fill(to: &Plug<'_>, netns: BorrowedFd<'_>, host_interface: &str, mac: link::Mac) -> Result<()> {
    let inside = Socket::open(Protocol::Route)
        .map_err(Error::io("open netlink socket in new network namespace"))?;
    allow_unprivileged()?;
    // Interfaces inherit the default: without it eth0 would get a link-local address and announce it to every neighbour.
    sysctl::set_if_present("ipv6/conf/default/disable_ipv6", "1")
        .map_err(Error::io("disable IPv6 on eth0"))?;
    let pair = Pair {
        host_name: host_interface,
        bridge: to.bridge,
        mtu: to.mtu,
        peer_name: INTERFACE,
        peer_mac: mac,
        peer_netns: netns.as_fd(),
    };
    to.host
        .transact(&[link::new_pair(&pair)])
        .map_err(Error::refused(format!(
            "create interface {host_interface} on {}",
            to.network
        )))?;
    sysctl::set_if_present("ipv6/conf/default/disable_ipv6", "0")
        .map_err(Error::io("restore IPv6 default"))?;
    let eth0 = link::find(&inside, INTERFACE)
        .map_err(Error::refused("look up eth0"))?
        .ok_or_else(|| {
            Error::io("look up eth0")(std::io::Error::from(std::io::ErrorKind::NotFound))
        })?;
    inside
        .transact(&[
            link::up(LOOPBACK),
            link::add_address(eth0.index, to.address),
            link::up(eth0.index),
            link::default_route(eth0.index, to.gateway),
        ])
        .map_err(Error::refused(format!(
            "configure eth0 with {}",
            to.address
        )))
}

/// Lets every user of the new namespace listen on low ports and send echo requests, as Docker does: the namespace is the
/// container's alone, and neither then needs a capability.
fn allow_unprivileged() -> Result<()> {
    for (name, value) in [
        ("ipv4/ip_unprivileged_port_start", "0"),
        ("ipv4/ping_group_range", "0 2147483647"),
    ] {
        sysctl::set_if_present(name, value).map_err(Error::io(format!("set {name} to {value}")))?;
    }
    Ok(())
}

/// Brings the host's end up, on the host's side.
fn attach(to: &Plug<'_>, host_interface: &str, mac: link::Mac) -> Result<()> {
    // Before the interface is up: a port of a bridge speaks no IPv6 itself.
    sysctl::set_if_present(&format!("ipv6/conf/{host_interface}/disable_ipv6"), "1")
        .map_err(Error::io(format!("disable IPv6 on {host_interface}")))?;
    let port = link::find(to.host, host_interface)
        .map_err(Error::refused(format!("look up {host_interface}")))?
        .ok_or_else(|| {
            Error::io(format!("look up {host_interface}"))(std::io::ErrorKind::NotFound.into())
        })?;
    to.host
        .transact(&[link::up(port.index), link::bridge_entry(port.index, mac)])
        .map_err(Error::refused(format!("bring up {host_interface}")))
}

/// `veth` and seven hexadecimal digits, as Docker names them.
fn random_name() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("veth{:07x}", random & 0x0fff_ffff)
}
