//! All networks of a data root: their records, found by name and id, and the bridges that are open.
//!
//! The three that always exist (bridge, host, none) are ordinary members that cannot be removed. A network is its record:
//! written first and removed last, so that after a crash every bridge is made again or swept away.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

use ipnet::{IpNet, Ipv4Net};
use sys::netlink::{Protocol, Socket};

use crate::create::{self, Create, Surroundings};
use crate::firewall::Opening;
use crate::parent::Parent;
use crate::record::{Driver, Record};
use crate::subnet::{self, AddressPool};
use crate::{Bridge, Endpoint, Error, Result, firewall, interface};

mod open;
mod openings;
mod rules;
mod turn;

/// The names and drivers of the networks that always exist.
pub const PREDEFINED: [(&str, Driver); 3] = [
    ("bridge", Driver::Bridge),
    ("host", Driver::Host),
    ("none", Driver::Null),
];
/// Marks the default bridge, as the alias that `ip link` shows.
const ALIAS: &str = "corten";

/// What all networks are opened with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the records are: `<data root>/networks`.
    pub dir: PathBuf,
    /// Where records go that cannot be read.
    pub quarantine: PathBuf,
    /// The default network's bridge, also the name of the firewall's table.
    pub bridge: String,
    /// The default bridge's own address and its subnet; the first free default subnet when none.
    pub bip: Option<Ipv4Net>,
    /// The MTU of the default bridge and its containers; the default route's when none.
    pub mtu: Option<u32>,
    /// Where subnets come from; empty: Docker's default pools and more.
    pub pools: Vec<AddressPool>,
    /// No published port is translated: all are relayed.
    pub relayed: bool,
}

/// One network.
#[derive(Debug)]
pub struct Network {
    /// Its configuration.
    pub record: Record,
    /// Its open bridge, or why it has none.
    bridge: std::result::Result<Arc<Bridge>, String>,
    /// The endpoints on it by their ids; none once it is removed.
    live: Mutex<Option<BTreeMap<String, Endpoint>>>,
}

impl Network {
    pub(crate) fn new(
        record: Record,
        bridge: std::result::Result<Arc<Bridge>, String>,
    ) -> Arc<Self> {
        Arc::new(Self {
            record,
            bridge,
            live: Mutex::new(Some(BTreeMap::new())),
        })
    }

    /// Whether it is one of the three that always exist.
    pub fn is_predefined(&self) -> bool {
        PREDEFINED.iter().any(|(name, _)| *name == self.record.name)
    }

    /// Whether it is the network of containers that name none.
    pub fn is_default(&self) -> bool {
        self.record.name == PREDEFINED[0].0
    }

    /// Its bridge; an error where it has none or none could be opened.
    pub fn bridge(&self) -> Result<&Arc<Bridge>> {
        self.bridge.as_ref().map_err(|why| Error::Closed {
            network: self.record.name.clone(),
            why: why.clone(),
        })
    }

    /// Notes an endpoint, unless the network has been removed meanwhile.
    pub(crate) fn enter(&self, endpoint: &Endpoint) -> Result<()> {
        match &mut *lock(&self.live) {
            Some(live) => {
                live.insert(endpoint.id.clone(), endpoint.clone());
                Ok(())
            }
            None => Err(Error::NoSuchNetwork(self.record.name.clone())),
        }
    }

    pub(crate) fn leave(&self, endpoint: &str) {
        if let Some(live) = &mut *lock(&self.live) {
            live.remove(endpoint);
        }
    }

    /// The places on it that have an interface on the host; none once it is removed.
    pub(crate) fn places(&self) -> Option<Vec<Endpoint>> {
        let live = lock(&self.live);
        let places = live.as_ref()?.values();
        Some(
            places
                .filter(|one| !one.host_interface.is_empty())
                .cloned()
                .collect(),
        )
    }
}

/// All networks.
#[derive(Debug)]
pub struct Networks {
    pub(crate) config: Config,
    by_id: RwLock<BTreeMap<String, Arc<Network>>>,
    /// The firewall's socket; none without nftables. It is kept: closing one after a table was replaced waits for the
    /// kernel to free the old one, ten milliseconds and more (`nft_rcv_nl_event`).
    filter: Option<Socket>,
    /// The firewall's generation when the rules were last seen whole.
    looked_at: Mutex<Option<u32>>,
    /// One network comes or goes at a time.
    pub(crate) changing: Mutex<()>,
    /// What containers publish at their own addresses, by their ids.
    openings: Mutex<BTreeMap<String, Vec<Opening>>>,
    pub(crate) pool_none: Mutex<Vec<OwnedFd>>,
}

impl Networks {
    /// Reads the records, makes what always exists, and opens the bridges. `used` are the places of running containers.
    /// What works less well than it should is returned as warnings.
    pub fn open(config: Config, used: &[Endpoint]) -> Result<(Self, Vec<String>)> {
        store::create_dir_all(&config.dir)?;
        let loaded = store::load_all::<Record>(&config.dir, None, &config.quarantine)?;
        let mut warnings: Vec<String> = loaded
            .quarantined
            .iter()
            .map(|(path, why)| format!("a damaged record was put aside: {}: {why}", path.display()))
            .collect();
        let mut records: Vec<Record> = loaded.records.into_iter().map(|(_, found)| found).collect();
        for (name, driver) in PREDEFINED {
            if !records.iter().any(|record| record.name == name) {
                let record = predefined(name, driver);
                store::save(&path(&config, &record.id), &record, false)?;
                records.push(record);
            }
        }
        let mut networks = Self {
            config,
            by_id: RwLock::default(),
            filter: None,
            looked_at: Mutex::default(),
            changing: Mutex::default(),
            openings: Mutex::default(),
            pool_none: Mutex::default(),
        };
        let _turn = turn::take();
        networks.sweep(&records, &mut warnings);
        let subnets: Vec<IpNet> = subnets(records.iter()).collect();
        let mut by_id = BTreeMap::new();
        for record in records {
            let here = |endpoint: &&Endpoint| is_on(endpoint, &record);
            let used: Vec<_> = used
                .iter()
                .filter(here)
                .flat_map(Endpoint::addresses)
                .collect();
            let bridge = networks.open_bridge(&record, &used, &subnets, &mut warnings);
            by_id.insert(record.id.clone(), Network::new(record, bridge));
        }
        networks.by_id = RwLock::new(by_id);
        networks.open_firewall(&mut warnings);
        for network in networks.all() {
            let bridge = network.bridge().ok();
            warnings.extend(bridge.and_then(|bridge| networks.route_localhost(bridge)));
        }
        Ok((networks, warnings))
    }

    /// All of them, in the order of their ids.
    pub fn all(&self) -> Vec<Arc<Network>> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        by_id.values().cloned().collect()
    }

    /// Finds one, as Docker does: by its whole id, its name, or a prefix of its id that is no other's.
    pub fn find(&self, reference: &str) -> Result<Arc<Network>> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let missing = || Error::NoSuchNetwork(reference.to_owned());
        if reference.is_empty() {
            return Err(missing());
        }
        if let Some(network) = by_id.get(reference) {
            return Ok(network.clone());
        }
        if let Some(network) = by_id.values().find(|one| one.record.name == reference) {
            return Ok(network.clone());
        }
        let mut matching = by_id
            .range(reference.to_owned()..)
            .take_while(|(id, _)| id.starts_with(reference));
        match (matching.next(), matching.next()) {
            (Some((_, network)), None) => Ok(network.clone()),
            (Some(_), Some(_)) => Err(Error::Ambiguous(reference.to_owned())),
            (None, _) => Err(missing()),
        }
    }

    /// The default bridge, or why there is none.
    pub fn default_bridge(&self) -> Result<Arc<Bridge>> {
        self.find("bridge")?.bridge().cloned()
    }

    /// Makes a network. When this returns, it is there after a crash too.
    pub fn create(&self, create: Create) -> Result<Arc<Network>> {
        let _one = lock(&self.changing);
        if PREDEFINED.iter().any(|(name, _)| *name == create.name) {
            return Err(Error::Forbidden(format!(
                "operation is not permitted on predefined {} network ",
                create.name
            )));
        }
        let all = self.all();
        if all.iter().any(|other| other.record.name == create.name) {
            return Err(Error::Conflict(format!(
                "network with name {} already exists",
                create.name
            )));
        }
        let _turn = turn::take();
        let socket = Socket::open(Protocol::Route).map_err(Error::io("open netlink socket"))?;
        let host = interface::taken(&socket, None)?;
        let networks: Vec<IpNet> = subnets(all.iter().map(|one| &one.record)).collect();
        let create = create::configured(create, all.iter().map(|one| &one.record))?;
        let record = create::record(
            create,
            &Surroundings {
                host: &host,
                networks: &networks,
                pools: &self.pools(),
                ipv6: interface::host_has_ipv6(&socket),
            },
        )?;
        if let Some(parent) = Parent::of(&record) {
            parent.check_others(all.iter().map(|one| &one.record))?;
        }
        store::save(&path(&self.config, &record.id), &record, true)?;
        let mut warnings = Vec::new();
        let opened = self.try_open_bridge(&record, &[], &[], &mut warnings);
        let network = match opened {
            Ok(bridge) => Network::new(record, bridge),
            Err(error) => {
                // It has never been seen: without its record it has not been.
                drop(store::remove_for_good(&path(&self.config, &record.id)));
                return Err(error);
            }
        };
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(network.record.id.clone(), network.clone());
        self.install_rules()?;
        if let Ok(bridge) = network.bridge() {
            // A failure is told when the next daemon opens it.
            _ = self.route_localhost(bridge);
        }
        Ok(network)
    }

    /// Removes a network that nobody is on. When this returns, nothing of it is left.
    pub fn remove(&self, network: &Network) -> Result<()> {
        let _one = lock(&self.changing);
        let record = &network.record;
        if network.is_predefined() {
            return Err(Error::Forbidden(format!(
                "{} is a pre-defined network and cannot be removed",
                record.name
            )));
        }
        {
            let mut live = lock(&network.live);
            match &*live {
                None => return Err(Error::NoSuchNetwork(record.name.clone())),
                Some(endpoints) if !endpoints.is_empty() => {
                    return Err(Error::Forbidden(format!(
                        "error while removing network: network {} has active endpoints",
                        record.name
                    )));
                }
                Some(_) if record.config_only && self.configures(&record.name) => {
                    return Err(Error::Forbidden(format!(
                        "configuration network {:?} is in use",
                        record.name
                    )));
                }
                Some(_) => *live = None,
            }
        }
        let interface = open::interface_of(record);
        let shared = record.driver != Driver::Bridge
            && self.all().iter().any(|other| {
                other.record.id != record.id && open::interface_of(&other.record) == interface
            });
        if let (Ok(bridge), false) = (&network.bridge, shared) {
            bridge.remove()?;
        }
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&record.id);
        self.install_rules()?;
        Ok(store::remove_for_good(&path(&self.config, &record.id))?)
    }

    /// Whether networks have their configuration from this one.
    fn configures(&self, name: &str) -> bool {
        let all = self.all();
        all.iter().any(|other| other.record.config_from == name)
    }

    /// The network of an endpoint.
    pub(crate) fn of(&self, endpoint: &Endpoint) -> Option<Arc<Network>> {
        let all = self.all();
        all.into_iter().find(|one| is_on(endpoint, &one.record))
    }

    /// Removes what all networks left on the host: their interfaces and rules. Only tests and uninstallers want that.
    pub fn clean_up(&self) -> Result<()> {
        for network in self.all() {
            if let Ok(bridge) = &network.bridge {
                bridge.remove()?;
            }
        }
        match &self.filter {
            Some(filter) => firewall::remove(filter, &self.config.bridge)
                .map_err(Error::refused("remove nftables rules")),
            None => Ok(()),
        }
    }

    fn pools(&self) -> Vec<AddressPool> {
        let mut pools = if self.config.pools.is_empty() {
            subnet::defaults()
        } else {
            self.config.pools.clone()
        };
        // The default network's id is random and stays: a good seed.
        if let Ok(network) = self.find("bridge") {
            pools.push(subnet::local(&network.record.id));
        }
        pools
    }
}

/// Everything behind these locks is whole between two statements: a panic elsewhere does not damage it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn path(config: &Config, id: &str) -> PathBuf {
    config.dir.join(format!("{id}.json"))
}

fn subnets<'a>(records: impl Iterator<Item = &'a Record>) -> impl Iterator<Item = IpNet> {
    let networks = records.filter(|record| !record.config_only);
    networks.flat_map(|record| record.pools.iter().map(|pool| pool.subnet))
}

/// The earlier build knew no ids of networks.
fn is_on(endpoint: &Endpoint, record: &Record) -> bool {
    endpoint.network_id == record.id
        || (endpoint.network_id.is_empty() && endpoint.network == record.name)
}

fn predefined(name: &str, driver: Driver) -> Record {
    Record {
        id: stdx::id::random_hex(),
        name: name.to_owned(),
        created: SystemTime::now(),
        driver,
        enable_ipv4: true,
        enable_ipv6: false,
        internal: false,
        attachable: false,
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        ipam_options: BTreeMap::new(),
        pools: Vec::new(),
        config_only: false,
        config_from: String::new(),
    }
}
