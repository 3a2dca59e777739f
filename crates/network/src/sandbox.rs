//! A container's network namespace, and how it is plugged into a bridge.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sys::netlink::{Message, Protocol, Refused, Socket};
use sys::netns;

use crate::link::{self, Mac, Pair, PortMode, WayOut};
use crate::parent::Mode;
use crate::{Endpoint, Error, Result, sysctl, unplug};

/// The first interface of a container.
pub(crate) const INTERFACE: &str = "eth0";
const LOOPBACK: u32 = 1;
/// No route of that kind.
const ESRCH: i32 = 3;
/// Another interface has the address.
const EADDRINUSE: i32 = 98;
/// The kernel has taken a namespace apart so long after its end, on a busy machine too (0.03 to 0.12 s under emulation).
const TAKEN_APART: Duration = Duration::from_secs(5);

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
    let (fd, inside) =
        netns::create(|_| prepare().map(drop)).map_err(Error::io("create network namespace"))?;
    inside.map(|()| fd)
}

/// What a container hangs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Via {
    /// A cable to a bridge.
    Bridge(u32),
    /// An interface of the host, which it is beside.
    Parent(u32, Mode),
}

/// What is plugged in: an interface, and what it hangs on.
#[derive(Debug)]
pub(crate) struct Plug<'a> {
    pub(crate) host: &'a Socket,
    pub(crate) network: &'a str,
    pub(crate) via: Via,
    pub(crate) mtu: u32,
    pub(crate) host_interface: &'a str,
    pub(crate) interface: &'a str,
    /// What the interface is called until it is where it belongs: see [`first_name`].
    pub(crate) first_name: &'a str,
    pub(crate) mac: Mac,
    pub(crate) ipv4: Option<Ipv4Net>,
    pub(crate) ipv6: Option<Ipv6Net>,
    pub(crate) link_local: &'a [IpAddr],
    /// Kernel settings of the interface, and their values.
    pub(crate) sysctls: &'a [(String, String)],
    /// It reaches the bridge and not the bridge's other ports.
    pub(crate) isolated: bool,
}

/// Makes a network namespace that is plugged in. On failure nothing is left: the interfaces die with the namespace.
pub(crate) fn make(plug: &Plug<'_>, gateways: &[WayOut]) -> Result<OwnedFd> {
    let (netns, inside) = netns::create(|fd| {
        let socket = prepare()?;
        plug_inside(plug, fd, &socket, gateways)
    })
    .map_err(Error::io("create network namespace"))?;
    inside?;
    plug_outside(plug)?;
    Ok(netns)
}

/// Plugs an interface into a namespace that is there. On failure nothing of it is left, and what was there before stays.
pub(crate) fn plug(netns: BorrowedFd<'_>, plug: &Plug<'_>, gateways: &[WayOut]) -> Result<()> {
    let inside = netns::enter(netns, || {
        let socket = open_inside()?;
        plug_inside(plug, netns, &socket, gateways)
    });
    inside
        .map_err(Error::io("enter network namespace"))
        .and_then(|done| done)
        .and_then(|()| plug_outside(plug))
        .inspect_err(|_| match plug.via {
            Via::Bridge(_) => unplug::pair(plug.host, plug.host_interface),
            Via::Parent(..) => unplug::inside(netns, plug.first_name),
        })
}

/// Whether a namespace has such an interface, and it is up.
pub(crate) fn is_up(netns: BorrowedFd<'_>, interface: &str) -> bool {
    let found = netns::enter(netns, || {
        link::find(&open_inside()?, interface).map_err(Error::refused("look up an interface"))
    });
    match found {
        Ok(Ok(link)) => link.is_some_and(|link| link.up),
        _ => true,
    }
}

/// Lets the default routes of a namespace lead through these, and no others.
pub(crate) fn reroute(
    netns: BorrowedFd<'_>,
    four: Option<(&str, WayOut)>,
    six: Option<(&str, WayOut)>,
) -> Result<()> {
    let inside = netns::enter(netns, || {
        let socket = open_inside()?;
        for (route, is_six) in [(four, false), (six, true)] {
            match route {
                Some((interface, gateway)) => set_gateways(&socket, interface, &[gateway])?,
                None => match socket.transact(&[link::no_default_route(is_six)]) {
                    Err(refused) if !refused.is(ESRCH) && !refused.missing() => {
                        return Err(Error::refused("remove the default route")(refused));
                    }
                    _ => {}
                },
            }
        }
        Ok(())
    });
    inside.map_err(Error::io("enter network namespace"))?
}

/// The names of the interfaces in a namespace.
pub(crate) fn interfaces(netns: BorrowedFd<'_>) -> Result<Vec<String>> {
    let inside = netns::enter(netns, || {
        let links = link::all(&open_inside()?).map_err(Error::refused("list interfaces"))?;
        Ok(links.into_iter().map(|link| link.name).collect())
    });
    inside.map_err(Error::io("enter network namespace"))?
}

fn open_inside() -> Result<Socket> {
    Socket::open(Protocol::Route).map_err(Error::io("open netlink socket in network namespace"))
}

/// Runs inside a new namespace: what all of them have.
fn prepare() -> Result<Socket> {
    let socket = open_inside()?;
    allow_unprivileged()?;
    socket
        .transact(&[link::up(LOOPBACK)])
        .map_err(Error::refused("bring up loopback interface"))?;
    Ok(socket)
}

/// Runs inside the namespace: makes the interface through the host's socket, then configures it. Once it is there, it goes
/// again on failure.
fn plug_inside(
    plug: &Plug<'_>,
    netns: BorrowedFd<'_>,
    inside: &Socket,
    gateways: &[WayOut],
) -> Result<()> {
    let (message, name) = match plug.via {
        Via::Bridge(bridge) => {
            let pair = link::new_pair(&Pair {
                host_name: plug.host_interface,
                bridge,
                mtu: plug.mtu,
                peer_name: plug.interface,
                peer_mac: plug.mac,
                peer_netns: netns,
            });
            (pair, plug.interface)
        }
        Via::Parent(parent, mode) => {
            let mac = matches!(mode, Mode::Macvlan(_)).then_some(plug.mac);
            let at = Some((netns, plug.mtu, mac));
            let beside = link::new_beside(plug.first_name, parent, mode, at);
            (beside, plug.first_name)
        }
    };
    plug.host
        .transact(&[message])
        .map_err(Error::refused(format!(
            "create interface {} on {}",
            plug.interface, plug.network
        )))?;
    let index = index(inside, name)?;
    configure(plug, inside, index)
        .and_then(|()| set_gateways(inside, plug.interface, gateways))
        .inspect_err(|_| unplug::here(index))
}

/// Runs inside the namespace: makes the new interface what the container is to see.
fn configure(plug: &Plug<'_>, inside: &Socket, index: u32) -> Result<()> {
    let interface = plug.interface;
    if matches!(plug.via, Via::Parent(..)) {
        inside
            .transact(&[link::rename(index, interface)])
            .map_err(Error::refused(format!("name interface {interface}")))?;
    }
    // Before it is up: without IPv6 it would get a link-local address and announce it to every neighbour.
    let off = if plug.ipv6.is_some() { "0" } else { "1" };
    for (name, value) in [("disable_ipv6", off), ("accept_ra", "0")] {
        let name = format!("ipv6/conf/{interface}/{name}");
        sysctl::set_if_present(&name, value)
            .map_err(Error::io(format!("set {name} to {value}")))?;
    }
    if matches!(plug.via, Via::Parent(..)) {
        // The neighbours may know another container under its address: it says once that it has come.
        let name = format!("ipv4/conf/{interface}/arp_notify");
        sysctl::set_if_present(&name, "1").map_err(Error::io(format!("set {name} to 1")))?;
    }
    for (name, value) in plug.sysctls {
        sysctl::set(name, value).map_err(Error::io(format!("set {name} to {value}")))?;
    }
    let four = plug.ipv4.map(IpNet::V4);
    let six = plug.ipv6.map(IpNet::V6);
    let more = plug.link_local.iter().map(|address| {
        let prefix = if address.is_ipv4() { 16 } else { 64 };
        IpNet::new_assert(*address, prefix)
    });
    let mut batch: Vec<_> = four
        .into_iter()
        .chain(six)
        .chain(more)
        .map(|address| link::add_address(index, address))
        .collect();
    batch.push(link::up(index));
    when_free(inside, batch).map_err(Error::refused(format!("configure {interface}")))
}

/// Carries messages out, and again those that are refused for an address that is in use. The kernel takes a namespace apart
/// when it has time, after its last process is gone; as long as an interface in there has the same address, ipvlan refuses
/// that (`ipvlan_addr_busy`), and macvlan to come up with the same hardware address (`macvlan_addr_busy`): who comes back
/// with what was its own a moment ago waits.
fn when_free(inside: &Socket, mut left: Vec<Message>) -> std::result::Result<(), Refused> {
    let deadline = Instant::now() + TAKEN_APART;
    loop {
        let mut busy = Vec::new();
        for refused in inside.transact_all(&left)? {
            match refused.index.and_then(|index| left.get(index)) {
                Some(message) if refused.is(EADDRINUSE) && Instant::now() < deadline => {
                    busy.push(message.clone());
                }
                _ => return Err(refused),
            }
        }
        if busy.is_empty() {
            return Ok(());
        }
        left = busy;
        thread::sleep(Duration::from_millis(5));
    }
}

/// Brings the host's end up, on the host's side.
fn plug_outside(plug: &Plug<'_>) -> Result<()> {
    let Via::Bridge(_) = plug.via else {
        return Ok(());
    };
    let name = plug.host_interface;
    // Before the interface is up: a port of a bridge speaks no IPv6 itself.
    sysctl::set_if_present(&format!("ipv6/conf/{name}/disable_ipv6"), "1")
        .map_err(Error::io(format!("disable IPv6 on {name}")))?;
    let port = index(plug.host, name)?;
    open_port(plug.host, name, port, plug.mac, plug.isolated)
}

/// Brings a port of a bridge up, with a fixed entry for what is behind it.
pub(crate) fn open_port(
    host: &Socket,
    name: &str,
    port: u32,
    mac: Mac,
    isolated: bool,
) -> Result<()> {
    let mode = PortMode {
        isolated,
        hairpin: bridges_pass_filters(),
    };
    let mut batch = Vec::new();
    if mode != PortMode::default() {
        batch.push(link::port_mode(port, mode));
    }
    batch.extend([link::up(port), link::bridge_entry(port, mac)]);
    host.transact(&batch)
        .map_err(Error::refused(format!("bring up {name}")))
}

/// Whether the host's bridges pass through its IP filters. Then it is the bridge that takes a container's packet to a port
/// of the host to where it is translated to, also back to that container (`br_nf_pre_routing_finish_bridge`).
pub(crate) fn bridges_pass_filters() -> bool {
    ["iptables", "ip6tables"]
        .iter()
        .any(|filter| sysctl::is(&format!("bridge/bridge-nf-call-{filter}"), "1"))
}

fn set_gateways(inside: &Socket, interface: &str, gateways: &[WayOut]) -> Result<()> {
    if gateways.is_empty() {
        return Ok(());
    }
    let index = index(inside, interface)?;
    let routes: Vec<_> = gateways
        .iter()
        .map(|gateway| link::default_route(index, *gateway))
        .collect();
    inside
        .transact(&routes)
        .map_err(Error::refused(format!("route through {interface}")))
}

fn index(socket: &Socket, interface: &str) -> Result<u32> {
    let what = || format!("look up {interface}");
    let found = link::find(socket, interface).map_err(Error::refused(what()))?;
    found
        .map(|link| link.index)
        .ok_or_else(|| Error::io(what())(std::io::ErrorKind::NotFound.into()))
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

/// What an interface beside one of the host is called while it is made: the name is nobody's, and known from the endpoint
/// alone after a crash. Before Linux 6.15 the kernel refuses the name of an interface of the namespace that asks (`eth0`),
/// though it makes the new one in another.
pub(crate) fn first_name(endpoint: &str) -> String {
    format!("cort{}", endpoint.get(..11).unwrap_or(endpoint))
}

/// `veth` and seven hexadecimal digits, as Docker names them.
pub(crate) fn random_name() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("veth{:07x}", random & 0x0fff_ffff)
}

/// Opens the network namespace of a process.
pub fn of_process(pid: i32) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/ns/net");
    std::fs::File::open(&path)
        .map(OwnedFd::from)
        .map_err(Error::io(format!("open {path}")))
}
