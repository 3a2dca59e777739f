//! The three networks that always exist: bridge, host, none.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::network::{EndpointResource, Ipam, IpamConfig, Network};
use engine::Engine;
use engine::container::Published;
use engine::container::spec::NetworkMode;
use engine::ops::container::list::List;

use super::invalid;
use crate::error::{Error, Result};
use crate::query::Query;

const NAMES: [(&str, NetworkMode, &str); 3] = [
    ("bridge", NetworkMode::Bridge, "bridge"),
    ("host", NetworkMode::Host, "host"),
    ("none", NetworkMode::None, "null"),
];

/// The name of a container's network.
pub fn name(mode: NetworkMode) -> &'static str {
    NAMES
        .iter()
        .find(|(_, found, _)| *found == mode)
        .map_or("bridge", |(name, _, _)| *name)
}

/// `GET /networks`.
pub fn list(engine: &Arc<Engine>, query: &Query) -> Result<Vec<Network>> {
    let filters = query.filters("filters").map_err(Error::Invalid)?;
    let known = ["name", "id", "driver", "scope", "type", "dangling", "label"];
    if let Some(unknown) = filters.keys().find(|name| !known.contains(&name.as_str())) {
        return invalid(format!("invalid filter '{unknown}'"));
    }
    let any = |name: &str, found: &str| {
        filters.get(name).is_none_or(|values| {
            values.is_empty() || values.iter().any(|value| found.contains(value.as_str()))
        })
    };
    let wanted = |network: &Network| {
        any("name", &network.name)
            && any("id", &network.id)
            && any("driver", &network.driver)
            && any("scope", &network.scope)
            && any("type", "builtin")
            && any("dangling", "false")
            && filters.get("label").is_none_or(Vec::is_empty)
    };
    Ok(NAMES
        .iter()
        .map(|entry| network(engine, entry))
        .filter(wanted)
        .collect())
}

/// `GET /networks/{id}`, with the containers on it.
pub fn inspect(engine: &Arc<Engine>, wanted: &str) -> Result<Network> {
    let found = NAMES.iter().find(|(name, ..)| *name == wanted);
    let by_id = || {
        NAMES
            .iter()
            .find(|(name, ..)| wanted.len() >= 4 && engine.network_id(name).starts_with(wanted))
    };
    let Some(entry) = found.or_else(by_id) else {
        return Err(Error::NotFound(format!("network {wanted} not found")));
    };
    let mut network = network(engine, entry);
    let containers = engine::ops::container::list(engine, &List::default())?;
    let on_it = containers
        .iter()
        .filter(|container| container.record.spec.network == entry.1);
    network.containers = on_it
        .map(|container| (container.id().to_owned(), resource(engine, container)))
        .collect();
    Ok(network)
}

fn resource(engine: &Engine, container: &Published) -> EndpointResource {
    let endpoint = container.endpoint.as_ref();
    EndpointResource {
        name: container.name.to_string(),
        endpoint_id: engine.network_id(container.id()),
        mac_address: endpoint
            .map(|endpoint| endpoint.mac.clone())
            .unwrap_or_default(),
        ipv4_address: endpoint
            .map(|endpoint| format!("{}/{}", endpoint.ip, endpoint.prefix))
            .unwrap_or_default(),
        ipv6_address: String::new(),
    }
}

fn network(engine: &Arc<Engine>, (name, mode, driver): &(&str, NetworkMode, &str)) -> Network {
    let mut options = BTreeMap::new();
    let mut config = Vec::new();
    if *mode == NetworkMode::Bridge {
        let bridge = engine.bridge().ok().map(|bridge| bridge.info());
        for (option, value) in [
            ("com.docker.network.bridge.default_bridge", "true"),
            ("com.docker.network.bridge.enable_icc", "true"),
            ("com.docker.network.bridge.enable_ip_masquerade", "true"),
            ("com.docker.network.bridge.host_binding_ipv4", "0.0.0.0"),
        ] {
            options.insert(option.to_owned(), value.to_owned());
        }
        options.insert(
            "com.docker.network.bridge.name".to_owned(),
            engine.config.bridge.clone(),
        );
        if let Some(bridge) = bridge {
            options.insert(
                "com.docker.network.driver.mtu".to_owned(),
                bridge.mtu.to_string(),
            );
            config.push(IpamConfig {
                subnet: bridge.subnet.to_string(),
                gateway: bridge.gateway.to_string(),
                ..IpamConfig::default()
            });
        }
    }
    Network {
        name: (*name).to_owned(),
        id: engine.network_id(name),
        created: stdx::time::rfc3339_nano(engine.opened_at),
        scope: "local".to_owned(),
        driver: (*driver).to_owned(),
        enable_ipv4: true,
        ipam: Ipam {
            driver: "default".to_owned(),
            options: None,
            config: (!config.is_empty()).then_some(config),
        },
        options: Some(options),
        labels: Some(BTreeMap::new()),
        ..Network::default()
    }
}
