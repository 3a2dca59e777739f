//! All networks of a data root: their records, found by name and id, and the bridges that are open.
//!
//! The three that always exist (bridge, host, none) are ordinary members that cannot be removed.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

use ipnet::Ipv4Net;

use crate::record::{Driver, Record};
use crate::{Attachment, Bridge, Endpoint, Error, Result, Sandbox, bridge, net_none};

/// The names and drivers of the networks that always exist.
pub const PREDEFINED: [(&str, Driver); 3] = [
    ("bridge", Driver::Bridge),
    ("host", Driver::Host),
    ("none", Driver::Null),
];
/// Unconnected sandboxes kept ready.
const POOL_NONE: usize = 2;

/// What all networks are opened with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the records are: `<data root>/networks`.
    pub dir: PathBuf,
    /// Where records go that cannot be read.
    pub quarantine: PathBuf,
    /// The default network's bridge.
    pub bridge: String,
    /// The default bridge's own address and its subnet; the first free default subnet when none.
    pub bip: Option<Ipv4Net>,
    /// The MTU of the default bridge and its containers; the default route's when none.
    pub mtu: Option<u32>,
}

/// One network.
#[derive(Debug)]
pub struct Network {
    /// Its configuration.
    pub record: Record,
    /// Its open bridge, or why it has none.
    bridge: std::result::Result<Arc<Bridge>, String>,
}

impl Network {
    /// Whether it is one of the three that always exist.
    pub fn is_predefined(&self) -> bool {
        PREDEFINED.iter().any(|(name, _)| *name == self.record.name)
    }

    /// Its bridge; an error where it has none or none could be opened.
    pub fn bridge(&self) -> Result<&Arc<Bridge>> {
        self.bridge.as_ref().map_err(|why| Error::Closed {
            network: self.record.name.clone(),
            why: why.clone(),
        })
    }
}

/// All networks.
#[derive(Debug)]
pub struct Networks {
    by_id: RwLock<BTreeMap<String, Arc<Network>>>,
    pool_none: Mutex<Vec<OwnedFd>>,
}

impl Networks {
    /// Reads the records, makes what always exists, and opens the bridges. `used` are the places of running containers.
    /// What works less well than it should is returned as warnings.
    pub fn open(config: &Config, used: &[Endpoint]) -> Result<(Self, Vec<String>)> {
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
                store::save(
                    &config.dir.join(format!("{}.json", record.id)),
                    &record,
                    false,
                )?;
                records.push(record);
            }
        }
        let networks = records.into_iter().map(|record| {
            let bridge = open_bridge(config, &record, used, &mut warnings);
            (record.id.clone(), Arc::new(Network { record, bridge }))
        });
        let networks = Self {
            by_id: RwLock::new(networks.collect()),
            pool_none: Mutex::default(),
        };
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

    /// A connected sandbox with a place on each of these networks; no sandbox of its own on the host's. What is given
    /// out is taken back with [`Networks::release`].
    pub fn connect(&self, attachments: &[Attachment]) -> Result<Sandbox> {
        let mut sandbox = Sandbox {
            netns: None,
            endpoints: Vec::new(),
        };
        for attachment in attachments {
            let network = self.find(attachment.id_or_name())?;
            let record = &network.record;
            match record.driver {
                Driver::Host => sandbox.endpoints.push(bare_endpoint(record)),
                Driver::Null => {
                    sandbox.netns = Some(self.bare()?);
                    sandbox.endpoints.push(bare_endpoint(record));
                }
                _ => {
                    let ready = network.bridge()?.connect()?;
                    sandbox.netns = Some(ready.netns);
                    sandbox.endpoints.push(ready.endpoint);
                }
            }
        }
        Ok(sandbox)
    }

    /// These endpoints are gone: their addresses are free at once. Their interfaces die with their namespace.
    pub fn release(&self, endpoints: &[Endpoint]) {
        for endpoint in endpoints {
            if let Some(bridge) = self.bridge_of(endpoint) {
                bridge.release(endpoint);
            }
        }
    }

    /// Takes over the endpoint of a container that was running before this process.
    pub fn adopt(&self, endpoint: &Endpoint) -> Result<()> {
        match self.bridge_of(endpoint) {
            Some(bridge) => bridge.adopt(endpoint),
            None => Ok(()),
        }
    }

    /// Makes what [`Networks::connect`] takes: ready sandboxes.
    pub fn refill(&self) {
        if let Ok(bridge) = self.default_bridge() {
            bridge.refill();
        }
        while lock(&self.pool_none).len() < POOL_NONE {
            let Ok(netns) = net_none() else { break };
            lock(&self.pool_none).push(netns);
        }
    }

    /// A network namespace without a connection: a ready one, else a new one.
    fn bare(&self) -> Result<OwnedFd> {
        let ready = lock(&self.pool_none).pop();
        ready.map_or_else(net_none, Ok)
    }

    fn bridge_of(&self, endpoint: &Endpoint) -> Option<Arc<Bridge>> {
        // The earlier build knew no ids of networks.
        let reference = if endpoint.network_id.is_empty() {
            &endpoint.network
        } else {
            &endpoint.network_id
        };
        self.find(reference).ok()?.bridge().ok().cloned()
    }
}

/// Everything behind these locks is whole between two statements: a panic elsewhere does not damage it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place on a network that gives no interface.
fn bare_endpoint(record: &Record) -> Endpoint {
    Endpoint {
        id: stdx::id::random_hex(),
        network_id: record.id.clone(),
        network: record.name.clone(),
        ..Endpoint::default()
    }
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
    }
}

fn open_bridge(
    config: &Config,
    record: &Record,
    used: &[Endpoint],
    warnings: &mut Vec<String>,
) -> std::result::Result<Arc<Bridge>, String> {
    if record.driver != Driver::Bridge {
        return Err(format!("it is of the driver {}", record.driver.as_str()));
    }
    let settings = bridge::Config {
        network_id: record.id.clone(),
        network: record.name.clone(),
        bridge: config.bridge.clone(),
        bip: config.bip,
        mtu: config.mtu,
    };
    let here = |endpoint: &&Endpoint| {
        endpoint.network_id == record.id
            || (endpoint.network_id.is_empty() && endpoint.network == record.name)
    };
    let used: Vec<_> = used
        .iter()
        .filter(here)
        .filter_map(|endpoint| Some(endpoint.ipv4?.addr()))
        .collect();
    match Bridge::open(settings, &used) {
        Ok((bridge, more)) => {
            warnings.extend(more);
            Ok(Arc::new(bridge))
        }
        Err(error) => {
            warnings.push(format!(
                "the network {} is not available: {error}",
                record.name
            ));
            Err(error.to_string())
        }
    }
}
