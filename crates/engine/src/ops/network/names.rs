//! Who is called what on which network: the one source of whatever answers questions about names.
//!
//! It changes when a container starts, ends, is connected, disconnected or renamed; [`Engine::names_changed`] is told of
//! each, after the change is published. The default bridge, host and none have no names, as in Docker: containers there
//! know one another by links alone.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::Engine;
use crate::container::Published;

/// A running container's names on one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The container's id.
    pub container: String,
    /// The container's name first (a reverse lookup answers with it), then aliases, short id and host name; each once.
    pub names: Vec<String>,
    /// Where it is reached there, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// `container:alias`: what this container alone calls others.
    pub links: Vec<String>,
}

/// All names, by the network's id.
pub fn names(engine: &Engine) -> BTreeMap<String, Vec<Named>> {
    let mut names: BTreeMap<String, Vec<Named>> = BTreeMap::new();
    for now in engine.containers.all() {
        for endpoint in &now.endpoints {
            let found = engine.networks.find(&endpoint.network_id);
            if found.is_ok_and(|network| network.is_predefined()) {
                continue;
            }
            let mut attachments = now.attachments.iter();
            let settings = attachments
                .find(|one| one.network_id == endpoint.network_id)
                .map(|one| &one.settings);
            let named = Named {
                container: now.id().to_owned(),
                names: of(&now, settings.map_or(&[], |settings| &settings.aliases)),
                addresses: endpoint.addresses().collect(),
                links: settings.map_or_else(Vec::new, |settings| settings.links.clone()),
            };
            names
                .entry(endpoint.network_id.clone())
                .or_default()
                .push(named);
        }
    }
    names
}

/// What a container is called where it has these aliases.
pub fn of(now: &Published, aliases: &[String]) -> Vec<String> {
    let own = std::iter::once(now.name.to_string());
    let rest = [
        now.id()[..12].to_owned(),
        now.record.effective.hostname.clone(),
    ];
    let mut names = Vec::new();
    for name in own.chain(aliases.iter().cloned()).chain(rest) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
