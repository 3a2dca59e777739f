//! Networks: what is asked of a new one, and how one is shown.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use api::network::{
    EndpointResource, EndpointSettings, Ipam, IpamConfig, Network as Wire, NetworkCreate,
};
use engine::container::Published;
use engine::container::spec::NetworkMode;
use network::{Create, Driver, Endpoint, Network, Pool, Settings};

use super::{invalid, refused};
use crate::error::{Error, Result};

mod pools;

/// A network mode as clients write it.
pub fn mode(mode: &NetworkMode) -> String {
    match mode {
        NetworkMode::Container(other) => format!("container:{other}"),
        mode => mode.network().unwrap_or_default().to_owned(),
    }
}

/// What is asked of a new network.
pub fn create(wire: NetworkCreate) -> Result<Create> {
    if wire.config_only
        && (wire.ingress || wire.internal || wire.attachable || !wire.scope.is_empty())
    {
        return Err(Error::Forbidden(
            "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported."
                .to_owned(),
        ));
    }
    if wire.ingress {
        return refused("Ingress");
    }
    if !matches!(wire.scope.as_str(), "" | "local") {
        return refused(format!("Scope {}", wire.scope));
    }
    let ipam = wire.ipam.unwrap_or_default();
    if !matches!(ipam.driver.as_str(), "" | "default") {
        return refused(format!("IPAM.Driver {}", ipam.driver));
    }
    Ok(Create {
        name: wire.name,
        driver: driver(&wire.driver)?,
        internal: wire.internal,
        attachable: wire.attachable,
        enable_ipv4: wire.enable_ipv4.unwrap_or(true),
        enable_ipv6: wire.enable_ipv6,
        labels: wire.labels.unwrap_or_default(),
        options: wire.options.unwrap_or_default(),
        ipam_options: ipam.options.unwrap_or_default(),
        pools: pools::all(
            &ipam.config.unwrap_or_default(),
            wire.enable_ipv6 != Some(false),
        )?,
        config_only: wire.config_only,
        config_from: wire
            .config_from
            .map_or_else(String::new, |from| from.network),
    })
}

fn driver(text: &str) -> Result<Driver> {
    match text {
        "" | "default" | "bridge" => Ok(Driver::Bridge),
        "host" | "null" => Err(Error::Forbidden(format!(
            "only one instance of \"{text}\" network is allowed"
        ))),
        "macvlan" => Ok(Driver::Macvlan),
        "ipvlan" => Ok(Driver::Ipvlan),
        "overlay" => refused(format!("network driver {text}")),
        other => Err(Error::NotFound(format!(
            "could not resolve driver {other} in network creation: plugin \"{other}\" not found"
        ))),
    }
}

/// What is asked of a place on a network; `field` is where in the request.
pub fn settings(field: &str, wire: &EndpointSettings) -> Result<Settings> {
    let ipam = wire.ipam_config.clone().unwrap_or_default();
    let address = |text: &str, kind: &str| match text {
        "" => Ok(None),
        text => match text.parse::<IpAddr>() {
            Ok(address) if !address.is_unspecified() => Ok(Some(address)),
            _ => invalid(format!(
                "invalid endpoint settings:\ninvalid {kind} address: {text}"
            )),
        },
    };
    let ipv4 = match address(&ipam.ipv4_address, "IPv4")? {
        Some(IpAddr::V6(six)) => {
            return invalid(format!(
                "invalid endpoint settings:\ninvalid IPv4 address: {six}"
            ));
        }
        Some(IpAddr::V4(four)) => Some(four),
        None => None,
    };
    let ipv6 = match address(&ipam.ipv6_address, "IPv6")? {
        Some(IpAddr::V4(four)) => {
            return invalid(format!(
                "invalid endpoint settings:\ninvalid IPv6 address: {four}"
            ));
        }
        Some(IpAddr::V6(six)) => Some(six),
        None => None,
    };
    let link_local = ipam.link_local_ips.unwrap_or_default();
    let link_local = link_local
        .iter()
        .filter_map(|text| address(text, "link-local IP").transpose());
    let driver_opts = wire.driver_opts.clone().unwrap_or_default();
    let unknown = |option: &&String| {
        option.starts_with("com.docker.") && !network::PLACE_OPTIONS.contains(&option.as_str())
    };
    if let Some(option) = driver_opts.keys().find(unknown) {
        return refused(format!("{field}.DriverOpts {option}"));
    }
    Ok(Settings {
        ipv4,
        ipv6,
        link_local: link_local.collect::<Result<_>>()?,
        mac: mac(&wire.mac_address)?,
        aliases: wire.aliases.clone().unwrap_or_default(),
        links: wire.links.clone().unwrap_or_default(),
        driver_opts,
        gateway_priority: wire.gw_priority,
    })
}

/// A hardware address, as the kernel writes it.
pub fn mac(text: &str) -> Result<Option<String>> {
    if text.is_empty() {
        return Ok(None);
    }
    match network::parse_mac(text) {
        Some(mac) => Ok(Some(mac)),
        None => invalid(format!("invalid MAC address {text}")),
    }
}

/// A network with the containers that run on it.
pub fn inspected(network: &Network, endpoints: &[(Arc<Published>, Endpoint)]) -> Wire {
    let containers = endpoints.iter().map(|(container, endpoint)| {
        (
            container.id().to_owned(),
            resource(container.name.as_str(), endpoint),
        )
    });
    Wire {
        containers: containers.collect(),
        ..self::network(network)
    }
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

/// A network.
pub fn network(network: &Network) -> Wire {
    let record = &network.record;
    let (mut options, mut config) = (
        record.options.clone(),
        record.pools.iter().map(shown).collect(),
    );
    if network.is_default() {
        (options, config) = default_bridge(network);
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
            options: if network.is_predefined() {
                None
            } else {
                Some(record.ipam_options.clone())
            },
            config: (!config.is_empty()).then_some(config),
        },
        internal: record.internal,
        attachable: record.attachable,
        options: Some(options),
        labels: Some(record.labels.clone()),
        config_only: record.config_only,
        config_from: api::network::ConfigReference {
            network: record.config_from.clone(),
        },
        ..Wire::default()
    }
}

fn shown(pool: &Pool) -> IpamConfig {
    let auxiliary = pool.auxiliary.iter();
    IpamConfig {
        subnet: pool.subnet.to_string(),
        ip_range: pool
            .range
            .map(|range| range.to_string())
            .unwrap_or_default(),
        gateway: pool.gateway.map(|it| it.to_string()).unwrap_or_default(),
        auxiliary_addresses: auxiliary
            .map(|(name, address)| (name.clone(), address.to_string()))
            .collect(),
    }
}

/// The default bridge is what the daemon was started with.
fn default_bridge(network: &Network) -> (BTreeMap<String, String>, Vec<IpamConfig>) {
    let mut options = BTreeMap::new();
    let mut put = |option: &str, value: &str| {
        options.insert(format!("com.docker.network.{option}"), value.to_owned());
    };
    put("bridge.default_bridge", "true");
    put("bridge.enable_icc", "true");
    put("bridge.enable_ip_masquerade", "true");
    put("bridge.host_binding_ipv4", "0.0.0.0");
    let Ok(bridge) = network.bridge() else {
        return (options, Vec::new());
    };
    let info = bridge.info();
    put("bridge.name", &info.name);
    put("driver.mtu", &info.mtu.to_string());
    let pools = info.subnets.iter().zip(&info.gateways);
    let config = pools.map(|(subnet, gateway)| IpamConfig {
        subnet: subnet.to_string(),
        gateway: gateway.to_string(),
        ..IpamConfig::default()
    });
    (options, config.collect())
}

#[cfg(test)]
mod tests;
