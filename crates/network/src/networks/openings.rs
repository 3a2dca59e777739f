//! Ports that are published at containers' own addresses, on networks in routed mode: kept here, as the table that lets
//! them through is made anew whenever a network comes or goes.

use super::{Networks, lock};
use crate::firewall::{self, Opening};
use crate::options::{GatewayMode, Options};
use crate::record::Driver;
use crate::{Endpoint, Error, Result};

impl Networks {
    /// How a place is reached: by IPv4, by IPv6.
    pub fn gateway_modes(&self, endpoint: &Endpoint) -> [GatewayMode; 2] {
        let Some(network) = self.of(endpoint) else {
            return [GatewayMode::Nat; 2];
        };
        let record = &network.record;
        match Options::parse(&record.options, record.internal) {
            Ok(options) if record.driver == Driver::Bridge => [options.mode4, options.mode6],
            _ => [GatewayMode::Nat; 2],
        }
    }

    /// Opens these ports of a container to the neighbours, and no others; most containers have none. They are looked for when
    /// it is this container's turn: whoever closes them has the last word.
    pub fn open_ports(&self, container: &str, look: impl FnOnce() -> Vec<Opening>) -> Result<()> {
        let mut all = lock(&self.openings);
        let openings = look();
        let before = all.remove(container).unwrap_or_default();
        if !openings.is_empty() {
            all.insert(container.to_owned(), openings.clone());
        }
        let (Some(filter), true) = (&self.filter, before != openings) else {
            return Ok(());
        };
        match firewall::reopen(filter, &self.config.bridge, &before, &openings) {
            // Somebody has removed the table, or some of its elements.
            Err(refused) if refused.missing() => self.install_rules_with(&all),
            other => other.map_err(Error::refused("change published ports of nftables rules")),
        }
    }
}
