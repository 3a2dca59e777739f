//! `network create`: subnets, ranges, gateways and auxiliary addresses are gathered by the subnet that they belong to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::network::{ConfigReference, Ipam, IpamConfig, NetworkCreate, NetworkCreated};
use client::{Method, Request};

use crate::flags::Given;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;
use crate::spec::pairs;

/// `network create [OPTIONS] NETWORK`
pub(crate) async fn create(session: &Session, given: &Given) -> Outcome {
    let or = |flag: &str, default: &str| given.get(flag).unwrap_or(default).to_owned();
    let body = NetworkCreate {
        name: given.args[0].clone(),
        driver: or("driver", "bridge"),
        scope: given.text("scope"),
        enable_ipv4: given.has("ipv4").then(|| given.is("ipv4")),
        enable_ipv6: given.has("ipv6").then(|| given.is("ipv6")),
        ipam: Some(Ipam {
            driver: or("ipam-driver", "default"),
            options: Some(pairs(&given.list("ipam-opt"))),
            config: Some(pools(given).map_err(Failure::new)?),
        }),
        internal: given.is("internal"),
        attachable: given.is("attachable"),
        ingress: given.is("ingress"),
        config_only: given.is("config-only"),
        config_from: given
            .get("config-from")
            .filter(|name| !name.is_empty())
            .map(|name| ConfigReference {
                network: name.to_owned(),
            }),
        options: Some(pairs(&given.list("opt"))),
        labels: Some(pairs(&given.list("label"))),
    };
    let request = Request::new(Method::Post, "/networks/create".to_owned())
        .json(&body)
        .map_err(Failure::from)?;
    let created: NetworkCreated = session.client().await?.call(request).await?;
    report::print(&format!("{}\n", created.id));
    Ok(0)
}

/// A subnet as it is needed to find what belongs to it.
struct Subnet {
    network: u128,
    mask: u128,
    is_ipv4: bool,
}

impl Subnet {
    fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("invalid subnet: invalid CIDR address: {text}");
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let prefix: u32 = prefix.parse().map_err(|_| invalid())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        if prefix > width {
            return Err(invalid());
        }
        let mask = if prefix == 0 {
            0
        } else {
            u128::MAX << (width - prefix)
        };
        Ok(Self {
            network: number(address) & mask,
            mask,
            is_ipv4: address.is_ipv4(),
        })
    }

    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4 && number(address) & self.mask == self.network
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => u32::from(four).into(),
        IpAddr::V6(six) => six.into(),
    }
}

/// One entry a subnet, in the order given.
fn pools(given: &Given) -> Result<Vec<IpamConfig>, String> {
    let split = |flag: &str| -> Vec<String> {
        let values = given.list(flag);
        let parts = values.iter().flat_map(|value| value.split(','));
        parts
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (texts, ranges, gateways) = (split("subnet"), split("ip-range"), split("gateway"));
    if texts.len() < ranges.len() || texts.len() < gateways.len() {
        return Err("every ip-range or gateway must have a corresponding subnet".to_owned());
    }
    let mut pools: Vec<(Subnet, IpamConfig)> = Vec::new();
    for text in texts {
        let subnet = Subnet::parse(&text)?;
        let overlaps = |other: &Subnet| {
            other.is_ipv4 == subnet.is_ipv4
                && (other.network & subnet.mask == subnet.network
                    || subnet.network & other.mask == other.network)
        };
        if pools.iter().any(|(other, _)| overlaps(other)) {
            return Err("multiple overlapping subnet configuration is not supported".to_owned());
        }
        let config = IpamConfig {
            subnet: text,
            ..IpamConfig::default()
        };
        pools.push((subnet, config));
    }
    for range in ranges {
        let base = range.split('/').next().unwrap_or_default();
        let pool = find(&mut pools, base, &format!("range {range}"))?;
        if !pool.ip_range.is_empty() {
            return Err(format!(
                "cannot configure multiple ranges ({range}, {}) on the same subnet ({})",
                pool.ip_range, pool.subnet
            ));
        }
        pool.ip_range = range;
    }
    for gateway in gateways {
        let pool = find(&mut pools, &gateway, &format!("gateway {gateway}"))?;
        if !pool.gateway.is_empty() {
            return Err(format!(
                "cannot configure multiple gateways ({gateway}, {}) for the same subnet ({})",
                pool.gateway, pool.subnet
            ));
        }
        pool.gateway = gateway;
    }
    let auxiliary: BTreeMap<String, String> = pairs(&given.list("aux-address"));
    for (name, address) in auxiliary {
        let pool = find(&mut pools, &address, &format!("aux-address {address}"))?;
        pool.auxiliary_addresses.insert(name, address);
    }
    Ok(pools.into_iter().map(|(_, config)| config).collect())
}

/// The pool that an address is of.
fn find<'a>(
    pools: &'a mut [(Subnet, IpamConfig)],
    address: &str,
    what: &str,
) -> Result<&'a mut IpamConfig, String> {
    let parsed: IpAddr = address
        .parse()
        .map_err(|_| format!("unable to parse IP: {address}"))?;
    pools
        .iter_mut()
        .find(|(subnet, _)| subnet.contains(parsed))
        .map(|(_, config)| config)
        .ok_or_else(|| format!("no matching subnet for {what}"))
}
