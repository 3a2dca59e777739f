//! The bridge that containers hang on: opened or adopted, asked for connections, refilled off the start path.
//!
//! A start takes a sandbox that is ready ([`Bridge::connect`]); making one costs a millisecond and happens afterwards
//! ([`Bridge::refill`]). Ready sandboxes exist as file descriptors only, so that a crash leaves nothing behind.

use std::collections::{HashSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::Ipv4Net;
use sys::netlink::{Protocol, Refused, Socket};

use crate::ipam::Ipam;
use crate::link::{self, Link};
use crate::sandbox::{self, Connected, Plug};
use crate::{Endpoint, Error, Result, firewall, subnet, sysctl};

/// Marks our bridges, as the alias that `ip link` shows.
const ALIAS: &str = "corten";
const DEFAULT_MTU: u32 = 1500;
/// Connected sandboxes kept ready, and how many may be gone before a refill makes new ones.
const POOL: usize = 8;
/// The kernel's IFNAMSIZ, with the closing zero.
const NAME_SIZE: usize = 16;

/// How a bridge is to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// The network's id.
    pub network_id: String,
    /// The network's name.
    pub network: String,
    /// The interface's name.
    pub bridge: String,
    /// The bridge's own address and its subnet; the first free default subnet when none.
    pub bip: Option<Ipv4Net>,
    /// The MTU of the bridge and its containers; the default route's when none.
    pub mtu: Option<u32>,
}

/// What others may know about a bridge.
#[derive(Debug, Clone)]
pub struct BridgeInfo {
    /// The interface's name.
    pub name: String,
    /// The subnet.
    pub subnet: Ipv4Net,
    /// The bridge's own address.
    pub gateway: Ipv4Addr,
    /// The MTU.
    pub mtu: u32,
    /// How many sandboxes are ready.
    pub pool: usize,
}

/// An open bridge.
#[derive(Debug)]
pub struct Bridge {
    network_id: String,
    network: String,
    name: String,
    /// The firewall's socket; none without nftables.
    filter: Option<Socket>,
    index: u32,
    mtu: u32,
    /// The bridge's own address, with the subnet's prefix length.
    address: Ipv4Net,
    ipam: Mutex<Ipam>,
    /// Claimed at open for running containers, not adopted so far.
    expected: Mutex<HashSet<Ipv4Addr>>,
    pool: Mutex<VecDeque<Connected>>,
    refilling: Mutex<()>,
}

impl Bridge {
    /// Opens the bridge, making what does not exist. `used` are the addresses of running containers. What works less
    /// well than it should is returned as warnings.
    pub fn open(config: Config, used: &[Ipv4Addr]) -> Result<(Self, Vec<String>)> {
        check_name(&config.bridge)?;
        let socket = Socket::open(Protocol::Route).map_err(Error::io("open netlink socket"))?;
        let mut warnings = Vec::new();
        let routes = link::routes(&socket).map_err(Error::refused("list routes"))?;
        let mtu = match config.mtu {
            Some(mtu) => mtu,
            None => default_mtu(&socket, &routes)?,
        };
        let existing = existing(&socket, &config.bridge)?;
        let address = choose_address(&socket, &config, existing.as_ref(), &routes)?;
        let index = set_up(&socket, &config.bridge, existing.as_ref(), address, mtu)?;
        for (setting, value) in settings(&config.bridge) {
            if let Err(error) = sysctl::set_if_present(&setting, value) {
                warnings.push(format!("set {setting} to {value}: {error}"));
            }
        }
        let filter = match filter(&config.bridge, address.trunc()) {
            Ok((socket, more)) => {
                warnings.extend(more);
                Some(socket)
            }
            Err(refused) => {
                warnings.push(format!(
                    "install nftables rules for {}: {refused}; containers reach the host and each other, but nothing beyond",
                    config.bridge
                ));
                None
            }
        };
        let mut ipam = Ipam::new(address, address.addr());
        let mut expected = HashSet::new();
        for address in used {
            match ipam.claim(*address) {
                Ok(()) => _ = expected.insert(*address),
                Err(error) => warnings.push(format!("keep a running container's address: {error}")),
            }
        }
        let bridge = Self {
            network_id: config.network_id,
            network: config.network,
            name: config.bridge,
            filter,
            index,
            mtu,
            address,
            ipam: Mutex::new(ipam),
            expected: Mutex::new(expected),
            pool: Mutex::default(),
            refilling: Mutex::default(),
        };
        Ok((bridge, warnings))
    }

    /// A connected network namespace: a ready one, else a new one.
    pub fn connect(&self) -> Result<Connected> {
        let ready = lock(&self.pool).pop_front();
        ready.map_or_else(|| self.make(), Ok)
    }

    /// The endpoint is gone: its address is free at once. Its interfaces die with their namespace.
    pub fn release(&self, endpoint: &Endpoint) {
        if let Some(ipv4) = endpoint.ipv4 {
            lock(&self.expected).remove(&ipv4.addr());
            lock(&self.ipam).release(ipv4.addr());
        }
    }

    /// Takes over the endpoint of a container that was running before this bridge was opened.
    pub fn adopt(&self, endpoint: &Endpoint) -> Result<()> {
        let Some(ipv4) = endpoint.ipv4 else {
            return Ok(());
        };
        if lock(&self.expected).remove(&ipv4.addr()) {
            return Ok(());
        }
        lock(&self.ipam).claim(ipv4.addr())
    }

    /// Makes sandboxes until the pool is full or the subnet is nearly so. A failure is no one's answer here: the next
    /// `connect` meets it again and reports it.
    pub fn refill(&self) {
        let Ok(_one) = self.refilling.try_lock() else {
            return;
        };
        let keep = POOL.min(self.pool_limit());
        while lock(&self.pool).len() < keep {
            let Ok(sandbox) = self.make() else { break };
            lock(&self.pool).push_back(sandbox);
        }
    }

    /// What the bridge is at the moment.
    pub fn info(&self) -> BridgeInfo {
        BridgeInfo {
            name: self.name.clone(),
            subnet: self.address.trunc(),
            gateway: self.address.addr(),
            mtu: self.mtu,
            pool: lock(&self.pool).len(),
        }
    }

    /// Removes the bridge and its rules, with all that hangs on it.
    pub fn remove(self) -> Result<()> {
        drop(self.pool);
        let socket = Socket::open(Protocol::Route).map_err(Error::io("open netlink socket"))?;
        match socket.transact(&[link::delete(self.index)]) {
            Err(refused) if !refused.missing() => {
                return Err(Error::refused(format!("delete bridge {}", self.name))(
                    refused,
                ));
            }
            _ => {}
        }
        if let Some(filter) = &self.filter {
            firewall::remove(filter, &self.name).map_err(Error::refused(format!(
                "delete nftables table {}",
                self.name
            )))?;
        }
        Ok(())
    }

    /// Ready sandboxes hold addresses: in a small subnet they must not take what containers could use.
    fn pool_limit(&self) -> usize {
        let hosts = 1_usize << (32 - self.address.prefix_len());
        hosts / 8
    }

    fn make(&self) -> Result<Connected> {
        let host = Socket::open(Protocol::Route).map_err(Error::io("open netlink socket"))?;
        let ip = lock(&self.ipam).allocate()?;
        let to = Plug {
            host: &host,
            network_id: &self.network_id,
            network: &self.network,
            bridge: self.index,
            mtu: self.mtu,
            gateway: self.address.addr(),
            address: Ipv4Net::new_assert(ip, self.address.prefix_len()),
        };
        sandbox::make(&to).inspect_err(|_| lock(&self.ipam).release(ip))
    }
}

/// Everything behind these locks is whole between two statements: a panic elsewhere does not damage it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs the rules, and names the chains of others that work against them.
fn filter(bridge: &str, subnet: Ipv4Net) -> std::result::Result<(Socket, Vec<String>), Refused> {
    let socket = firewall::open()?;
    firewall::install(&socket, bridge, subnet)?;
    let warning = |chain| {
        format!(
            "nftables chain {chain} drops what is forwarded: unless it accepts {bridge}, containers reach nothing beyond the host"
        )
    };
    let chains = firewall::dropping_chains(&socket).unwrap_or_default();
    Ok((socket, chains.into_iter().map(warning).collect()))
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

fn existing(socket: &Socket, name: &str) -> Result<Option<Link>> {
    let found = link::find(socket, name).map_err(Error::refused(format!("look up {name}")))?;
    match found {
        Some(link) if link.kind != "bridge" || link.alias != ALIAS => Err(Error::Foreign {
            bridge: name.to_owned(),
        }),
        other => Ok(other),
    }
}

fn default_mtu(socket: &Socket, routes: &[link::Route]) -> Result<u32> {
    let default = routes
        .iter()
        .filter(|route| route.destination.prefix_len() == 0)
        .min_by_key(|route| route.metric);
    let Some(index) = default.and_then(|route| route.interface) else {
        return Ok(DEFAULT_MTU);
    };
    let uplink = link::get(socket, index)
        .map_err(Error::refused("look up the default route's interface"))?;
    Ok(uplink.map_or(DEFAULT_MTU, |link| link.mtu))
}

/// The address asked for; else the one an adopted bridge has; else the first of a free subnet.
fn choose_address(
    socket: &Socket,
    config: &Config,
    existing: Option<&Link>,
    routes: &[link::Route],
) -> Result<Ipv4Net> {
    let bridge = || config.bridge.clone();
    let index = existing.map(|link| link.index);
    let addresses = link::addresses(socket).map_err(Error::refused("list addresses"))?;
    let foreign_addresses = addresses
        .iter()
        .filter(|(at, _)| Some(*at) != index)
        .map(|(_, net)| *net);
    let foreign_routes = routes
        .iter()
        .filter(|route| index.is_none() || route.interface != index);
    let taken: Vec<Ipv4Net> = foreign_addresses
        .chain(foreign_routes.map(|route| route.destination))
        .filter(|net| net.prefix_len() > 0)
        .collect();
    if let Some(bip) = config.bip {
        let invalid = |reason| Error::InvalidSubnet {
            bridge: bridge(),
            subnet: bip,
            reason,
        };
        if !(8..=30).contains(&bip.prefix_len()) {
            return Err(invalid("the prefix length must be from 8 to 30"));
        }
        if bip.addr() == bip.network() || bip.addr() == bip.broadcast() {
            return Err(invalid("the bridge needs an address of its own inside it"));
        }
        if taken.iter().any(|net| subnet::overlap(*net, bip)) {
            return Err(invalid("it overlaps with an address or route of the host"));
        }
        return Ok(bip);
    }
    if let Some((_, address)) = addresses.iter().find(|(at, _)| Some(*at) == index) {
        return Ok(*address);
    }
    let subnet = subnet::choose(&taken).ok_or_else(|| Error::NoSubnet { bridge: bridge() })?;
    let first = Ipv4Addr::from(u32::from(subnet.network()) + 1);
    Ok(Ipv4Net::new_assert(first, subnet.prefix_len()))
}

fn set_up(
    socket: &Socket,
    name: &str,
    existing: Option<&Link>,
    address: Ipv4Net,
    mtu: u32,
) -> Result<u32> {
    let mac = link::mac_of(address.addr());
    let index = match existing {
        Some(link) => {
            socket
                .transact(&[link::set_bridge(link.index, mtu, mac)])
                .map_err(Error::refused(format!("configure bridge {name}")))?;
            link.index
        }
        None => create(socket, name, mtu, mac)?,
    };
    let present = link::addresses(socket).map_err(Error::refused("list addresses"))?;
    let old = present
        .into_iter()
        .filter(|(at, net)| *at == index && *net != address);
    let mut batch: Vec<_> = old
        .map(|(_, net)| link::delete_address(index, net))
        .collect();
    batch.push(link::add_address(index, address));
    socket.transact(&batch).map_err(Error::refused(format!(
        "set address {address} on bridge {name}"
    )))?;
    Ok(index)
}

fn create(socket: &Socket, name: &str, mtu: u32, mac: link::Mac) -> Result<u32> {
    socket
        .transact(&[
            link::new_bridge(name, mtu, mac),
            link::set_alias(name, ALIAS),
        ])
        .map_err(Error::refused(format!("create bridge {name}")))?;
    let link = link::find(socket, name).map_err(Error::refused(format!("look up {name}")))?;
    link.map(|link| link.index)
        .ok_or_else(|| Error::io(format!("look up {name}"))(std::io::ErrorKind::NotFound.into()))
}

/// The kernel settings a bridge needs, in the host's namespace.
fn settings(bridge: &str) -> [(String, &'static str); 4] {
    [
        ("ipv4/ip_forward".to_owned(), "1"),
        // A port published on localhost leads out through the bridge; the firewall's first chain keeps the reverse closed.
        (format!("ipv4/conf/{bridge}/route_localnet"), "1"),
        // Nothing on the bridge speaks IPv6, and a container's router advertisements must not configure the host.
        (format!("ipv6/conf/{bridge}/accept_ra"), "0"),
        (format!("ipv6/conf/{bridge}/disable_ipv6"), "1"),
    ]
}
