//! Networks, listed and inspected.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::network::{EndpointResource, Ipam, IpamConfig, Network as Wire};
use engine::Engine;
use engine::container::spec::NetworkMode;
use engine::ops::container::list::List;
use network::{Endpoint, Network};

use super::invalid;
use crate::error::{Error, Result};
use crate::query::Query;

/// A network mode as clients write it.
pub fn mode(mode: &NetworkMode) -> String {
    match mode {
        NetworkMode::Container(other) => format!("container:{other}"),
        mode => mode.network().unwrap_or_default().to_owned(),
    }
}

/// `GET /networks`.
pub fn list(engine: &Arc<Engine>, query: &Query) -> Result<Vec<Wire>> {
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
    let wanted = |network: &Wire| {
        any("name", &network.name)
            && any("id", &network.id)
            && any("driver", &network.driver)
            && any("scope", &network.scope)
            && any("type", "builtin")
            && any("dangling", "false")
            && filters.get("label").is_none_or(Vec::is_empty)
    };
    let networks = engine.networks.all();
    Ok(networks
        .iter()
        .map(|one| wire(one))
        .filter(wanted)
        .collect())
}

/// `GET /networks/{id}`, with the containers on it.
pub fn inspect(engine: &Arc<Engine>, wanted: &str) -> Result<Wire> {
    let found = engine.networks.find(wanted).map_err(engine::Error::from)?;
    let mut answer = wire(&found);
    let containers = engine::ops::container::list(engine, &List::default())?;
    for container in containers {
        let mut endpoints = container.endpoints.iter();
        if let Some(endpoint) = endpoints.find(|one| one.network_id == found.record.id) {
            let resource = resource(container.name.as_str(), endpoint);
            answer
                .containers
                .insert(container.id().to_owned(), resource);
        }
    }
    Ok(answer)
}

fn resource(name: &str, endpoint: &Endpoint) -> EndpointResource {
    let text = |address: Option<String>| address.unwrap_or_default();
    EndpointResource {
        name: name.to_owned(),
        endpoint_id: endpoint.id.clone(),
        mac_address: endpoint.mac.clone(),
        ipv4_address: text(endpoint.ipv4.map(|address| address.to_string())),
        ipv6_address: text(endpoint.ipv6.map(|address| address.to_string())),
    }
}

fn wire(network: &Network) -> Wire {
    let record = &network.record;
    let mut options = record.options.clone();
    let mut config = Vec::new();
    if let Ok(bridge) = network.bridge() {
        let bridge = bridge.info();
        for (option, value) in [
            ("com.docker.network.bridge.default_bridge", "true"),
            ("com.docker.network.bridge.enable_icc", "true"),
            ("com.docker.network.bridge.enable_ip_masquerade", "true"),
            ("com.docker.network.bridge.host_binding_ipv4", "0.0.0.0"),
            ("com.docker.network.bridge.name", &bridge.name),
            ("com.docker.network.driver.mtu", &bridge.mtu.to_string()),
        ] {
            options.insert(option.to_owned(), value.to_owned());
        }
        config.push(IpamConfig {
            subnet: bridge.subnet.to_string(),
            gateway: bridge.gateway.to_string(),
            ..IpamConfig::default()
        });
    }
    Wire {
        name: record.name.clone(),
        id: record.id.clone(),
        created: stdx::time::rfc3339_nano(record.created),
        scope: "local".to_owned(),
        driver: record.driver.as_str().to_owned(),
        enable_ipv4: record.enable_ipv4,
        enable_ipv6: record.enable_ipv6,
        ipam: Ipam {
            driver: "default".to_owned(),
            options: None,
            config: (!config.is_empty()).then_some(config),
        },
        internal: record.internal,
        attachable: record.attachable,
        options: Some(options),
        labels: Some(BTreeMap::clone(&record.labels)),
        ..Wire::default()
    }
}
