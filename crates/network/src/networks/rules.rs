//! The firewall's rules of all networks: made, made anew whenever a network comes or goes, put back when somebody has
//! taken them away.

use std::collections::BTreeMap;

use sys::netlink::{Protocol, Refused, Socket};

use super::{Network, Networks, lock};
use crate::firewall::{self, Opening};
use crate::options::Options;
use crate::record::Driver;
use crate::{Bridge, Error, Result, nft, sysctl};

impl Networks {
    /// Puts the rules back if somebody has taken away or added anything. It is asked every second, and looks only where
    /// something has changed in the firewall.
    pub fn keep_rules(&self) -> Result<()> {
        let Some(filter) = &self.filter else {
            return Ok(());
        };
        let (_one, openings) = (lock(&self.changing), lock(&self.openings));
        let mut looked_at = lock(&self.looked_at);
        // Before the look: what changes meanwhile is looked at the next time.
        let generation =
            nft::generation(filter).map_err(Error::refused("ask for the firewall's generation"))?;
        if generation.is_some() && generation == *looked_at {
            return Ok(());
        }
        let table = &self.config.bridge;
        let opened: Vec<Opening> = openings.values().flatten().copied().collect();
        match firewall::is_installed(filter, table, &self.rules(), &opened) {
            Ok(true) => {}
            _ => self.install_rules_with(&openings)?,
        }
        *looked_at = generation;
        Ok(())
    }

    pub(super) fn install_rules(&self) -> Result<()> {
        self.install_rules_with(&lock(&self.openings))
    }

    pub(super) fn install_rules_with(
        &self,
        openings: &BTreeMap<String, Vec<Opening>>,
    ) -> Result<()> {
        let Some(filter) = &self.filter else {
            return Ok(());
        };
        let openings: Vec<Opening> = openings.values().flatten().copied().collect();
        firewall::install(filter, &self.config.bridge, &self.rules(), &openings)
            .map_err(Error::refused("install nftables rules"))
    }

    /// Installs the rules, and names the chains of others that work against them.
    pub(super) fn open_firewall(&mut self, warnings: &mut Vec<String>) {
        let bridge = self.config.bridge.clone();
        let opened = Socket::open(Protocol::Netfilter)
            .map_err(Refused::from)
            .and_then(|socket| {
                firewall::remove_earlier(&socket, &bridge)?;
                firewall::install(&socket, &bridge, &self.rules(), &[]).map(|()| socket)
            });
        match opened {
            Ok(socket) => {
                let chains = nft::dropping_chains(&socket).unwrap_or_default();
                warnings.extend(chains.into_iter().map(|chain| {
                    format!(
                        "nftables chain {chain} drops what is forwarded: unless it accepts {bridge}, containers reach nothing beyond the host"
                    )
                }));
                self.filter = Some(socket);
            }
            Err(refused) => warnings.push(format!(
                "install nftables rules for {bridge}: {refused}; containers reach the host and each other, but nothing beyond"
            )),
        }
    }

    /// Lets the host's localhost reach containers through a bridge: a port that is published there is translated on its way
    /// out. That opens the reverse, too, which the first chain of the rules keeps closed: so only where the rules are, and
    /// only where something is translated. What failed is told.
    pub(crate) fn route_localhost(&self, bridge: &Bridge) -> Option<String> {
        if !bridge.is_bridge() {
            return None;
        }
        let is_guarded = self.filter.is_some() && !self.config.relayed;
        let name = format!("ipv4/conf/{}/route_localnet", bridge.name());
        let value = if is_guarded { "1" } else { "0" };
        let set = sysctl::set_if_present(&name, value);
        set.err()
            .map(|error| format!("set {name} to {value}: {error}"))
    }

    /// How the firewall sees all networks.
    fn rules(&self) -> Vec<firewall::Network> {
        self.all().iter().filter_map(|one| one.rules()).collect()
    }
}

impl Network {
    /// How the firewall sees it; nothing without a bridge.
    fn rules(&self) -> Option<firewall::Network> {
        if self.record.driver != Driver::Bridge {
            return None;
        }
        let info = self.bridge.as_ref().ok()?.info();
        let options = Options::parse(&self.record.options, self.record.internal).ok()?;
        Some(firewall::Network {
            bridge: info.name,
            subnets: info.subnets,
            internal: self.record.internal,
            within: options.within,
            masquerade: options.masquerade && !self.record.internal,
            modes: [options.mode4, options.mode6],
        })
    }
}
