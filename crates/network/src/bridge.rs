//! The bridge that containers hang on: opened or adopted, asked for connections, refilled off the start path.
//!
//! A start on the default network takes a sandbox that is ready ([`Bridge::connect`]); making one costs a millisecond and
//! happens afterwards ([`Bridge::refill`]). Ready sandboxes exist as file descriptors only, so that a crash leaves nothing
//! behind. Any other place is plugged into a namespace that is there ([`Bridge::plug`]).

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sys::netlink::{Protocol, Socket};

use crate::interface::{self, Interface};
use crate::ipam::Ipam;
use crate::link::{self, WayOut};
use crate::parent::{self, Mode, Parent};
use crate::sandbox::{self, Connected, INTERFACE, Plug, Via};
use crate::{Endpoint, Error, Result, Settings, options};

/// Connected sandboxes kept ready, and how many may be gone before a refill makes new ones.
const POOL: usize = 8;

/// How a bridge is to be.
#[derive(Debug, Clone)]
pub struct Config {
    /// The network's id.
    pub network_id: String,
    /// The network's name.
    pub network: String,
    /// The interface's name.
    pub bridge: String,
    /// What marks the interface as ours: the alias that `ip link` shows.
    pub alias: String,
    /// Its subnets; of a bridge, at most one a family.
    pub subnets: Vec<Subnet>,
    /// The MTU of the bridge and its containers; the default route's when none.
    pub mtu: Option<u32>,
    /// No way out: containers get no default route.
    pub internal: bool,
    /// Containers reach the bridge and not one another.
    pub isolated: bool,
    /// The host has no IPv4 address, no IPv6 address on it.
    pub addressless: [bool; 2],
    /// What the names of containers' interfaces begin with.
    pub prefix: String,
    /// Sandboxes are kept ready.
    pub pooled: bool,
    /// There is no bridge: containers hang beside an interface of the host.
    pub parent: Option<Parent>,
}

impl Config {
    /// The host's own addresses on it.
    fn host_addresses(&self) -> impl Iterator<Item = IpNet> {
        let addresses = self.subnets.iter().map(|one| one.address);
        addresses.filter(|address| !self.addressless[usize::from(address.addr().is_ipv6())])
    }
}

/// The addresses of a bridge and its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The bridge's own address, with the subnet's prefix length.
    pub address: IpNet,
    /// Containers get addresses of this part alone.
    pub range: Option<IpNet>,
    /// Addresses that belong to others.
    pub reserved: Vec<IpAddr>,
}

/// What others may know about a bridge.
#[derive(Debug, Clone)]
pub struct BridgeInfo {
    /// The interface's name.
    pub name: String,
    /// The subnets.
    pub subnets: Vec<IpNet>,
    /// The bridge's own addresses: where containers reach the host.
    pub gateways: Vec<IpAddr>,
    /// The MTU.
    pub mtu: u32,
    /// How many sandboxes are ready.
    pub pool: usize,
}

impl BridgeInfo {
    /// The bridge's own IPv4 address.
    pub fn gateway4(&self) -> Option<Ipv4Addr> {
        self.gateways.iter().find_map(|gateway| match gateway {
            IpAddr::V4(four) => Some(*four),
            IpAddr::V6(_) => None,
        })
    }
}

/// An open bridge.
#[derive(Debug)]
pub struct Bridge {
    config: Config,
    /// Another one once somebody has deleted the interface and it was made again.
    pub(crate) index: AtomicU32,
    /// It was deleted, and could not be made again so far.
    pub(crate) is_lost: AtomicBool,
    mtu: u32,
    /// Of each subnet.
    ipams: Vec<Mutex<Ipam>>,
    /// Claimed at open for running containers, not adopted so far.
    expected: Mutex<HashSet<IpAddr>>,
    pub(crate) pool: Mutex<VecDeque<Connected>>,
    refilling: Mutex<()>,
}

impl Bridge {
    /// Opens the bridge, making what does not exist. `used` are the addresses of running containers. What works less
    /// well than it should is returned as warnings.
    pub fn open(config: Config, used: &[IpAddr]) -> Result<(Self, Vec<String>)> {
        let socket = Socket::open(Protocol::Route).map_err(Error::io("open netlink socket"))?;
        let (index, mtu, mut warnings) = Self::set_up(&socket, &config)?;
        let ipam = |subnet: &Subnet| {
            let reserved = subnet.reserved.iter().copied();
            let reserved = reserved.chain([subnet.address.addr()]);
            Mutex::new(Ipam::new(subnet.address, subnet.range, reserved))
        };
        let bridge = Self {
            ipams: config.subnets.iter().map(ipam).collect(),
            config,
            index: AtomicU32::new(index),
            is_lost: AtomicBool::new(false),
            mtu,
            expected: Mutex::default(),
            pool: Mutex::default(),
            refilling: Mutex::default(),
        };
        for address in used {
            match bridge.claim(*address) {
                Ok(()) => _ = lock(&bridge.expected).insert(*address),
                Err(error) => {
                    warnings.push(format!("keep a running container's address: {error}"));
                }
            }
        }
        Ok((bridge, warnings))
    }

    /// Makes the interface that containers hang on; its index, its MTU, and warnings.
    fn set_up(socket: &Socket, config: &Config) -> Result<(u32, u32, Vec<String>)> {
        if let Some(parent) = &config.parent {
            let link = parent::set_up(socket, parent, &config.bridge, &config.alias)?;
            return Ok((link.index, config.mtu.unwrap_or(link.mtu), Vec::new()));
        }
        let mtu = match config.mtu {
            Some(mtu) => mtu,
            None => interface::default_mtu(socket)?,
        };
        let addresses: Vec<IpNet> = config.host_addresses().collect();
        let wanted = Interface {
            name: &config.bridge,
            alias: &config.alias,
            addresses: &addresses,
            mtu,
            group: if config.isolated && sandbox::bridges_pass_filters() {
                link::APART
            } else {
                0
            },
        };
        let (index, warnings) = interface::set_up(socket, &wanted)?;
        Ok((index, mtu, warnings))
    }

    /// A connected network namespace: a ready one, else a new one.
    pub fn connect(&self) -> Result<Connected> {
        let ready = lock(&self.pool).pop_front();
        ready.map_or_else(|| self.make(), Ok)
    }

    /// Plugs a place that was given out into a namespace, with default routes through these; without any they stay as they
    /// are.
    pub(crate) fn plug(
        &self,
        netns: BorrowedFd<'_>,
        endpoint: &Endpoint,
        settings: &Settings,
        gateways: &[WayOut],
    ) -> Result<()> {
        self.with_plug(endpoint, settings, |plug| {
            sandbox::plug(netns, plug, gateways)
        })
    }

    /// The endpoint is gone: its addresses are free at once. Its interfaces die with their namespace.
    pub fn release(&self, endpoint: &Endpoint) {
        for address in endpoint.addresses() {
            lock(&self.expected).remove(&address);
            self.free(address);
        }
    }

    /// Takes over the endpoint of a container that was running before this bridge was opened.
    pub fn adopt(&self, endpoint: &Endpoint) -> Result<()> {
        for address in endpoint.addresses() {
            if !lock(&self.expected).remove(&address) {
                self.claim(address)?;
            }
        }
        if endpoint.host_interface.is_empty() || !self.is_bridge() {
            return Ok(());
        }
        // The bridge may have been deleted while no daemon ran.
        let socket = Socket::open(Protocol::Route).map_err(Error::io("open netlink socket"))?;
        self.join(&socket, endpoint)
    }

    /// Whoever was expected and has not been adopted has ended: those addresses are free.
    pub(crate) fn expect_nobody(&self) {
        for address in lock(&self.expected).drain() {
            self.free(address);
        }
    }

    /// Makes sandboxes until the pool is full or the subnet is nearly so. A failure is no one's answer here: the next
    /// `connect` meets it again and reports it.
    pub fn refill(&self) {
        let Ok(_one) = self.refilling.try_lock() else {
            return;
        };
        let keep = if self.config.pooled {
            POOL.min(self.pool_limit())
        } else {
            0
        };
        while lock(&self.pool).len() < keep {
            let Ok(ready) = self.make() else { break };
            lock(&self.pool).push_back(ready);
        }
    }

    /// What the bridge is at the moment.
    pub fn info(&self) -> BridgeInfo {
        let subnets = self.config.subnets.iter();
        BridgeInfo {
            name: self.config.bridge.clone(),
            subnets: subnets.clone().map(|one| one.address.trunc()).collect(),
            gateways: subnets.map(|one| one.address.addr()).collect(),
            mtu: self.mtu,
            pool: lock(&self.pool).len(),
        }
    }

    pub(crate) fn index(&self) -> u32 {
        self.index.load(Ordering::Relaxed)
    }

    pub(crate) fn name(&self) -> &str {
        &self.config.bridge
    }

    pub(crate) fn is_isolated(&self) -> bool {
        self.config.isolated
    }

    /// Not an interface of the host that others share (macvlan, ipvlan).
    pub(crate) fn is_bridge(&self) -> bool {
        self.config.parent.is_none()
    }

    /// Makes the interface once more; gives its index.
    pub(crate) fn set_up_again(&self, socket: &Socket) -> Result<u32> {
        Self::set_up(socket, &self.config).map(|(index, ..)| index)
    }

    /// The host's own addresses there.
    pub fn host_addresses(&self) -> Vec<IpAddr> {
        let addresses = self.config.host_addresses();
        addresses.map(|address| address.addr()).collect()
    }

    /// What the next interface of a container is called that has these.
    pub(crate) fn interface_name(&self, settings: &Settings, taken: &[String]) -> Result<String> {
        if let Some(name) = options::interface_name(&settings.driver_opts)? {
            if taken.iter().any(|one| one == name) {
                return Err(Error::Conflict(format!(
                    "the container has an interface {name} already"
                )));
            }
            return Ok(name.to_owned());
        }
        let prefix = &self.config.prefix;
        let mut names = (0..=taken.len()).map(|number| format!("{prefix}{number}"));
        let free = names.find(|name| !taken.contains(name));
        Ok(free.unwrap_or_else(|| INTERFACE.to_owned()))
    }

    /// Removes the bridge, with all that hangs on it.
    pub fn remove(&self) -> Result<()> {
        lock(&self.pool).clear();
        let socket = Socket::open(Protocol::Route).map_err(Error::io("open netlink socket"))?;
        if self.config.parent.is_some() {
            return parent::remove(&socket, &self.config.bridge, &self.config.alias);
        }
        match socket.transact(&[link::delete(self.index())]) {
            Err(refused) if !refused.missing() => Err(Error::refused(format!(
                "delete bridge {}",
                self.config.bridge
            ))(refused)),
            _ => Ok(()),
        }
    }

    /// Ready sandboxes hold addresses: in a small subnet they must not take what containers could use.
    fn pool_limit(&self) -> usize {
        let subnets = self.config.subnets.iter();
        let bits = subnets.map(|one| one.address.max_prefix_len() - one.address.prefix_len());
        bits.map(|bits| (1_usize << bits.min(16)) / 8)
            .min()
            .unwrap_or(0)
    }

    fn make(&self) -> Result<Connected> {
        let endpoint = self.give(INTERFACE, &Settings::default())?;
        let gateways = endpoint.ways_out();
        let netns = self
            .with_plug(&endpoint, &Settings::default(), |plug| {
                sandbox::make(plug, &gateways)
            })
            .inspect_err(|_| self.release(&endpoint))?;
        Ok(Connected { netns, endpoint })
    }

    fn with_plug<T>(
        &self,
        endpoint: &Endpoint,
        settings: &Settings,
        work: impl FnOnce(&Plug<'_>) -> Result<T>,
    ) -> Result<T> {
        let host = Socket::open(Protocol::Route).map_err(Error::io("open netlink socket"))?;
        work(&Plug {
            host: &host,
            network: &self.config.network,
            via: match &self.config.parent {
                Some(parent) => Via::Parent(self.index(), parent.mode),
                None => Via::Bridge(self.index()),
            },
            mtu: self.mtu,
            host_interface: &endpoint.host_interface,
            interface: &endpoint.interface,
            first_name: &sandbox::first_name(&endpoint.id),
            mac: link::parse_mac(&endpoint.mac).unwrap_or_else(link::random_mac),
            ipv4: endpoint.ipv4,
            ipv6: endpoint.ipv6,
            link_local: &settings.link_local,
            sysctls: &options::sysctls(&settings.driver_opts, &endpoint.interface)?,
            isolated: self.config.isolated,
        })
    }

    /// An endpoint with addresses of its own and nothing behind it yet.
    pub(crate) fn give(&self, interface: &str, settings: &Settings) -> Result<Endpoint> {
        let mut endpoint = Endpoint {
            id: stdx::id::random_hex(),
            network_id: self.config.network_id.clone(),
            network: self.config.network.clone(),
            interface: interface.to_owned(),
            host_interface: match self.config.parent {
                Some(_) => String::new(),
                None => sandbox::random_name(),
            },
            direct: !self.config.internal && self.is_direct(),
            priority: settings.gateway_priority,
            ..Endpoint::default()
        };
        let given = self.addresses(&mut endpoint, settings);
        given.inspect_err(|_| self.release(&endpoint))?;
        if let Some(Mode::Ipvlan { .. }) = self.mode() {
            // It is the interface's.
            return Ok(endpoint);
        }
        endpoint.mac = settings.mac.clone().unwrap_or_else(|| {
            let mac = endpoint.ipv4.map(|four| link::mac_of(four.addr()));
            link::mac_text(mac.unwrap_or_else(link::random_mac))
        });
        Ok(endpoint)
    }

    fn mode(&self) -> Option<Mode> {
        self.config.parent.as_ref().map(|parent| parent.mode)
    }

    fn is_direct(&self) -> bool {
        self.mode().is_some_and(Mode::is_direct)
    }

    fn addresses(&self, endpoint: &mut Endpoint, settings: &Settings) -> Result<()> {
        let asked4 = settings.ipv4.map(IpAddr::V4);
        let asked6 = settings.ipv6.map(IpAddr::V6);
        for (asked, six) in [(asked4, false), (asked6, true)] {
            let Some(address) = self.address(asked, six)? else {
                continue;
            };
            let Some((subnet, _)) = self.at(address) else {
                continue;
            };
            let way_out = !self.config.internal && !self.is_direct();
            match (address, subnet) {
                (IpAddr::V4(four), IpNet::V4(subnet)) => {
                    endpoint.ipv4 = Some(Ipv4Net::new_assert(four, subnet.prefix_len()));
                    endpoint.gateway4 = way_out.then_some(subnet.addr());
                }
                (IpAddr::V6(six), IpNet::V6(subnet)) => {
                    endpoint.ipv6 = Some(Ipv6Net::new_assert(six, subnet.prefix_len()));
                    endpoint.gateway6 = way_out.then_some(subnet.addr());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The address of a family that was asked for, else one of the first subnet that has any; none where there is no subnet.
    fn address(&self, asked: Option<IpAddr>, six: bool) -> Result<Option<IpAddr>> {
        if let Some(address) = asked {
            return self.claim(address).map(|()| Some(address));
        }
        let mut exhausted = None;
        for (_, ipam) in self.of_family(six) {
            match lock(ipam).allocate() {
                Ok(address) => return Ok(Some(address)),
                Err(error) => exhausted = Some(self.named(error)),
            }
        }
        exhausted.map_or(Ok(None), Err)
    }

    /// An exhausted pool is told with the network's name.
    fn named(&self, error: Error) -> Error {
        match error {
            Error::Exhausted { subnet } => Error::NoAddress {
                family: if subnet.addr().is_ipv4() {
                    "IPv4"
                } else {
                    "IPv6"
                },
                network: self.config.network.clone(),
                id: self.config.network_id.clone(),
            },
            other => other,
        }
    }

    fn claim(&self, address: IpAddr) -> Result<()> {
        let first = self.of_family(address.is_ipv6()).next();
        match self.at(address).or(first) {
            Some((_, ipam)) => lock(ipam).claim(address),
            None => Ok(()),
        }
    }

    fn free(&self, address: IpAddr) {
        if let Some((_, ipam)) = self.at(address) {
            lock(ipam).release(address);
        }
    }

    /// The subnet of an address, as the network's own address there, and who has what of it.
    fn at(&self, address: IpAddr) -> Option<(IpNet, &Mutex<Ipam>)> {
        let mut subnets = self.of_family(address.is_ipv6());
        subnets.find(|(subnet, _)| subnet.contains(&address))
    }

    fn of_family(&self, six: bool) -> impl Iterator<Item = (IpNet, &Mutex<Ipam>)> {
        let addresses = self.config.subnets.iter().map(|one| one.address);
        let all = addresses.zip(&self.ipams);
        all.filter(move |(subnet, _)| subnet.addr().is_ipv6() == six)
    }
}

/// Everything behind these locks is whole between two statements: a panic elsewhere does not damage it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
