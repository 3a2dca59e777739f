//! The interface of a bridge on the host: made or adopted, with its addresses; and what the host has beside it.

use ipnet::{IpNet, Ipv4Net};
use sys::netlink::{Protocol, Socket};

use crate::link::{self, Link};
use crate::subnet::{self, AddressPool};
use crate::{Error, Result, sysctl};

const DEFAULT_MTU: u32 = 1500;
/// The kernel's IFNAMSIZ, with the closing zero.
const NAME_SIZE: usize = 16;

/// How the interface is to be.
#[derive(Debug)]
pub(crate) struct Interface<'a> {
    pub(crate) name: &'a str,
    pub(crate) alias: &'a str,
    pub(crate) addresses: &'a [IpNet],
    pub(crate) mtu: u32,
    /// The group that rules know it by; 0: that of all others.
    pub(crate) group: u32,
}

/// Makes the interface what it is to be; one of that name that is not marked as ours is refused. Returns its index and
/// what works less well than it should.
pub(crate) fn set_up(socket: &Socket, wanted: &Interface<'_>) -> Result<(u32, Vec<String>)> {
    check_name(wanted.name)?;
    let name = wanted.name;
    let existing = existing(socket, name, wanted.alias)?;
    let four = wanted.addresses.iter().find_map(|address| match address {
        IpNet::V4(four) => Some(four.addr()),
        IpNet::V6(_) => None,
    });
    let mac = four.map_or_else(link::random_mac, link::mac_of);
    let index = match &existing {
        Some(link) => {
            socket
                .transact(&[link::set_bridge(link.index, wanted.mtu, mac, wanted.group)])
                .map_err(Error::refused(format!("configure bridge {name}")))?;
            link.index
        }
        None => create(socket, wanted, mac)?,
    };
    let mut warnings = Vec::new();
    for (setting, value) in settings(wanted) {
        if let Err(error) = sysctl::set_if_present(&setting, value) {
            warnings.push(format!("set {setting} to {value}: {error}"));
        }
    }
    let present = link::addresses(socket).map_err(Error::refused("list addresses"))?;
    let old = present
        .iter()
        .filter(|(at, net)| *at == index && !wanted.addresses.contains(net))
        .filter(|(_, net)| !is_link_local(*net));
    let mut batch: Vec<_> = old
        .map(|(_, net)| link::delete_address(index, *net))
        .collect();
    let new = wanted.addresses.iter();
    batch.extend(new.map(|address| link::add_address(index, *address)));
    if !batch.is_empty() {
        socket
            .transact(&batch)
            .map_err(Error::refused(format!("set addresses of bridge {name}")))?;
    }
    Ok((index, warnings))
}

/// The MTU of the default route's interface.
pub(crate) fn default_mtu(socket: &Socket) -> Result<u32> {
    let routes = link::routes(socket).map_err(Error::refused("list routes"))?;
    let default = routes
        .iter()
        .filter(|route| route.destination.prefix_len() == 0 && route.destination.addr().is_ipv4())
        .min_by_key(|route| route.metric);
    let Some(index) = default.and_then(|route| route.interface) else {
        return Ok(DEFAULT_MTU);
    };
    let uplink = link::get(socket, index)
        .map_err(Error::refused("look up the default route's interface"))?;
    Ok(uplink.map_or(DEFAULT_MTU, |link| link.mtu))
}

/// Whether the host reaches the world by IPv6.
pub(crate) fn host_has_ipv6(socket: &Socket) -> bool {
    link::routes(socket).is_ok_and(|routes| {
        routes
            .iter()
            .any(|route| route.destination.prefix_len() == 0 && route.destination.addr().is_ipv6())
    })
}

/// Addresses and routes of the host, but for those of the interface of this name.
pub(crate) fn taken(socket: &Socket, but: Option<&str>) -> Result<Vec<IpNet>> {
    let index = match but {
        Some(name) => link::find(socket, name)
            .map_err(Error::refused(format!("look up {name}")))?
            .map(|link| link.index),
        None => None,
    };
    let addresses = link::addresses(socket).map_err(Error::refused("list addresses"))?;
    let routes = link::routes(socket).map_err(Error::refused("list routes"))?;
    let addresses = addresses
        .into_iter()
        .filter(|(at, _)| Some(*at) != index)
        .map(|(_, net)| net);
    let routes = routes
        .into_iter()
        .filter(|route| index.is_none() || route.interface != index)
        .map(|route| route.destination);
    Ok(addresses
        .chain(routes)
        .filter(|net| net.prefix_len() > 0)
        .collect())
}

/// The default bridge's address: the one asked for; else the one that it has; else the first of a free subnet. `others`
/// are the subnets of the other networks.
pub(crate) fn default_address(
    name: &str,
    bip: Option<Ipv4Net>,
    pools: &[AddressPool],
    others: &[IpNet],
) -> Result<IpNet> {
    let socket = Socket::open(Protocol::Route).map_err(Error::io("open netlink socket"))?;
    let mut taken = taken(&socket, Some(name))?;
    taken.extend(others);
    if let Some(bip) = bip {
        check_bip(name, bip, &taken)?;
        return Ok(bip.into());
    }
    let link = link::find(&socket, name).map_err(Error::refused(format!("look up {name}")))?;
    let present = link::addresses(&socket).map_err(Error::refused("list addresses"))?;
    let mut own = present.iter().filter(|(at, net)| {
        link.as_ref().is_some_and(|link| link.index == *at) && net.addr().is_ipv4()
    });
    if let Some((_, address)) = own.next() {
        return Ok(*address);
    }
    let subnet = subnet::choose(pools, false, &taken).ok_or(Error::NoSubnet)?;
    Ok(IpNet::new_assert(
        subnet::first(subnet),
        subnet.prefix_len(),
    ))
}

fn check_bip(name: &str, bip: Ipv4Net, taken: &[IpNet]) -> Result<()> {
    let invalid = |reason| {
        Err(Error::InvalidSubnet {
            bridge: name.to_owned(),
            subnet: bip,
            reason,
        })
    };
    if !(8..=30).contains(&bip.prefix_len()) {
        return invalid("the prefix length must be from 8 to 30");
    }
    if bip.addr() == bip.network() || bip.addr() == bip.broadcast() {
        return invalid("the bridge needs an address of its own inside it");
    }
    if taken.iter().any(|net| subnet::overlap(*net, bip.into())) {
        return invalid("it overlaps with an address or route of the host");
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() < NAME_SIZE
        && name.chars().all(allowed);
    valid.then_some(()).ok_or_else(|| Error::InvalidName {
        bridge: name.to_owned(),
    })
}

fn existing(socket: &Socket, name: &str, alias: &str) -> Result<Option<Link>> {
    let found = link::find(socket, name).map_err(Error::refused(format!("look up {name}")))?;
    match found {
        Some(link) if link.kind != "bridge" || link.alias != alias => Err(Error::Foreign {
            bridge: name.to_owned(),
        }),
        other => Ok(other),
    }
}

fn create(socket: &Socket, wanted: &Interface<'_>, mac: link::Mac) -> Result<u32> {
    let name = wanted.name;
    socket
        .transact(&[
            link::new_bridge(name, wanted.mtu, mac, wanted.group),
            link::set_alias(name, wanted.alias),
        ])
        .map_err(Error::refused(format!("create bridge {name}")))?;
    let link = link::find(socket, name).map_err(Error::refused(format!("look up {name}")))?;
    link.map(|link| link.index)
        .ok_or_else(|| Error::io(format!("look up {name}"))(std::io::ErrorKind::NotFound.into()))
}

/// The kernel settings a bridge needs, in the host's namespace.
fn settings(wanted: &Interface<'_>) -> Vec<(String, &'static str)> {
    let name = wanted.name;
    let six = wanted
        .addresses
        .iter()
        .any(|address| address.addr().is_ipv6());
    let mut settings = vec![
        ("ipv4/ip_forward".to_owned(), "1"),
        // A container's router advertisements must not configure the host.
        (format!("ipv6/conf/{name}/accept_ra"), "0"),
        (
            format!("ipv6/conf/{name}/disable_ipv6"),
            if six { "0" } else { "1" },
        ),
    ];
    if six {
        settings.extend(keep_router_advertisements(name));
        settings.push(("ipv6/conf/all/forwarding".to_owned(), "1"));
        // Nobody else has its link-local address either: it asks for containers from the first packet on.
        settings.push((format!("ipv6/conf/{name}/accept_dad"), "0"));
    }
    settings
}

/// A host that forwards no longer listens to its own routers, and would lose its default route, unless told that it shall.
fn keep_router_advertisements(bridge: &str) -> Vec<(String, &'static str)> {
    let Ok(interfaces) = std::fs::read_dir("/proc/sys/net/ipv6/conf") else {
        return Vec::new();
    };
    interfaces
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name != bridge && name != "all" && name != "default")
        .map(|name| format!("ipv6/conf/{name}/accept_ra"))
        .filter(|name| {
            std::fs::read_to_string(format!("/proc/sys/net/{name}"))
                .is_ok_and(|value| value.trim() == "1")
        })
        .map(|name| (name, "2"))
        .collect()
}

fn is_link_local(net: IpNet) -> bool {
    matches!(net, IpNet::V6(six) if six.addr().is_unicast_link_local())
}
