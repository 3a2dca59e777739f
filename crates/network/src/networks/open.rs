//! The bridges of networks: opened at the daemon's start and at a network's creation, swept where no record speaks of them.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use sys::netlink::{Protocol, Socket};

use super::{ALIAS, Networks, PREDEFINED};
use crate::options::{GatewayMode, Options};
use crate::parent::Parent;
use crate::record::{Driver, Pool, Record};
use crate::{Bridge, BridgeConfig, Result, Subnet, interface, link, subnet};

/// What interfaces of containers are called, with a number behind it.
const PREFIX: &str = "eth";

impl Networks {
    fn alias(&self) -> String {
        format!("{ALIAS} {}", self.config.bridge)
    }

    /// Removes bridges of ours that no record speaks of.
    pub(super) fn sweep(&self, records: &[Record], warnings: &mut Vec<String>) {
        let Ok(socket) = Socket::open(Protocol::Route) else {
            return;
        };
        let alias = self.alias();
        let links = link::all(&socket).unwrap_or_default();
        for link in links.iter().filter(|link| link.alias == alias) {
            let known = records
                .iter()
                .any(|record| interface_of(record) == link.name);
            if !known && let Err(refused) = socket.transact(&[link::delete(link.index)]) {
                warnings.push(format!(
                    "delete bridge {} of no network: {refused}",
                    link.name
                ));
            }
        }
    }

    pub(super) fn open_bridge(
        &self,
        record: &Record,
        used: &[IpAddr],
        others: &[IpNet],
        warnings: &mut Vec<String>,
    ) -> std::result::Result<Arc<Bridge>, String> {
        match self.try_open_bridge(record, used, others, warnings) {
            Ok(bridge) => bridge,
            Err(error) => {
                let name = &record.name;
                warnings.push(format!("the network {name} is not available: {error}"));
                Err(error.to_string())
            }
        }
    }

    /// The bridge, if the driver has one.
    pub(super) fn try_open_bridge(
        &self,
        record: &Record,
        used: &[IpAddr],
        others: &[IpNet],
        warnings: &mut Vec<String>,
    ) -> Result<std::result::Result<Arc<Bridge>, String>> {
        if matches!(record.driver, Driver::Host | Driver::Null) {
            return Ok(Err(format!(
                "it is of the driver {}",
                record.driver.as_str()
            )));
        }
        let config = if record.name == PREDEFINED[0].0 {
            self.default_config(record, others)?
        } else if record.driver == Driver::Bridge {
            self.bridge_config(record)?
        } else {
            self.parent_config(record)?
        };
        let (bridge, more) = Bridge::open(config, used)?;
        warnings.extend(more);
        Ok(Ok(Arc::new(bridge)))
    }

    fn default_config(&self, record: &Record, others: &[IpNet]) -> Result<BridgeConfig> {
        let config = &self.config;
        let pools = if config.pools.is_empty() {
            subnet::defaults()
        } else {
            config.pools.clone()
        };
        let address = interface::default_address(&config.bridge, config.bip, &pools, others)?;
        Ok(BridgeConfig {
            network_id: record.id.clone(),
            network: record.name.clone(),
            bridge: config.bridge.clone(),
            alias: ALIAS.to_owned(),
            subnets: vec![Subnet {
                address,
                range: None,
                reserved: Vec::new(),
            }],
            mtu: config.mtu,
            internal: false,
            isolated: false,
            addressless: [false; 2],
            prefix: PREFIX.to_owned(),
            pooled: true,
            parent: None,
        })
    }

    fn bridge_config(&self, record: &Record) -> Result<BridgeConfig> {
        let options = Options::parse(&record.options, record.internal)?;
        Ok(BridgeConfig {
            network_id: record.id.clone(),
            network: record.name.clone(),
            bridge: interface_of(record),
            alias: self.alias(),
            subnets: subnets(record),
            mtu: options.mtu.or(self.config.mtu),
            internal: record.internal,
            isolated: !options.within,
            addressless: [
                options.inhibit_ipv4 || options.mode4 == GatewayMode::Isolated,
                options.mode6 == GatewayMode::Isolated,
            ],
            prefix: options.prefix.unwrap_or_else(|| PREFIX.to_owned()),
            pooled: false,
            parent: None,
        })
    }

    fn parent_config(&self, record: &Record) -> Result<BridgeConfig> {
        let parent = Parent::parse(record.driver, &record.options)?;
        Ok(BridgeConfig {
            network_id: record.id.clone(),
            network: record.name.clone(),
            bridge: interface_of(record),
            alias: self.alias(),
            subnets: subnets(record),
            mtu: parent.mtu,
            // From an interface that leads nowhere there is no way out.
            internal: record.internal || parent.name.is_none(),
            isolated: false,
            addressless: [true; 2],
            prefix: PREFIX.to_owned(),
            pooled: false,
            parent: Some(parent),
        })
    }
}

fn subnets(record: &Record) -> Vec<Subnet> {
    let subnet = |pool: &Pool| {
        Some(Subnet {
            address: IpNet::new(pool.gateway?, pool.subnet.prefix_len()).ok()?,
            range: pool.range,
            reserved: pool.auxiliary.values().copied().collect(),
        })
    };
    record.pools.iter().filter_map(subnet).collect()
}

/// The interface that a network hangs on; of a bridge, the name asked for, else Docker's way to make one.
pub(super) fn interface_of(record: &Record) -> String {
    if let Some(parent) = Parent::of(record) {
        return parent.interface(&record.id);
    }
    let asked = record.options.get("com.docker.network.bridge.name");
    asked
        .filter(|name| !name.is_empty())
        .cloned()
        .unwrap_or_else(|| format!("br-{}", &record.id[..12]))
}
