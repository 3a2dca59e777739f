//! The subnets of a new network, checked as dockerd does, in its words.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::network::IpamConfig;
use network::{IpNet, Pool};

use super::invalid;
use crate::error::Result;

/// All subnets; those of IPv6 count only where it may be had.
pub(super) fn all(configs: &[IpamConfig], six: bool) -> Result<Vec<Pool>> {
    let mut wrong = Vec::new();
    let mut pools = Vec::new();
    for config in configs {
        match config.subnet.parse::<IpNet>() {
            Err(_) => wrong.push(format!(
                "invalid subnet {}: invalid CIDR block notation",
                config.subnet
            )),
            Ok(subnet) if !six && subnet.addr().is_ipv6() => {}
            Ok(subnet) => pools.push(one(config, subnet, &mut wrong)),
        }
    }
    if wrong.is_empty() {
        return Ok(pools);
    }
    invalid(format!("invalid network config:\n{}", wrong.join("\n")))
}

fn one(config: &IpamConfig, subnet: IpNet, wrong: &mut Vec<String>) -> Pool {
    if subnet != subnet.trunc() {
        wrong.push(format!(
            "invalid subnet {subnet}: it should be {}",
            subnet.trunc()
        ));
    }
    let range = range(&config.ip_range, subnet, wrong);
    let mut address = |text: &str, what: &str| match check_address(text, subnet) {
        Ok(address) => address,
        Err(why) => {
            wrong.push(format!("invalid {what}: {why}"));
            None
        }
    };
    let gateway = address(&config.gateway, &format!("gateway {}", config.gateway));
    let mut auxiliary = BTreeMap::new();
    for (name, text) in &config.auxiliary_addresses {
        if let Some(found) = address(text, &format!("auxiliary address {name}")) {
            auxiliary.insert(name.clone(), found);
        }
    }
    Pool {
        subnet,
        range,
        gateway,
        auxiliary,
        by_user: true,
    }
}

fn family(subnet: IpNet) -> &'static str {
    if subnet.addr().is_ipv4() {
        "IPv4"
    } else {
        "IPv6"
    }
}

fn range(text: &str, subnet: IpNet, wrong: &mut Vec<String>) -> Option<IpNet> {
    if text.is_empty() {
        return None;
    }
    let Ok(range) = text.parse::<IpNet>() else {
        wrong.push(format!(
            "invalid ip-range {text}: invalid CIDR block notation"
        ));
        return None;
    };
    if range.addr().is_ipv4() != subnet.addr().is_ipv4() {
        wrong.push(format!(
            "invalid ip-range {text}: parent subnet is an {} block",
            family(subnet)
        ));
        return None;
    }
    if range.prefix_len() < subnet.prefix_len() {
        wrong.push(format!(
            "invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}"
        ));
    }
    if range != range.trunc() {
        wrong.push(format!(
            "invalid ip-range {range}: it should be {}",
            range.trunc()
        ));
    }
    if !subnet.contains(&range.addr()) && !range.contains(&subnet.addr()) {
        wrong.push(format!(
            "invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range"
        ));
    }
    Some(range)
}

fn check_address(text: &str, subnet: IpNet) -> std::result::Result<Option<IpAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let address: IpAddr = text.parse().map_err(|_| "invalid address".to_owned())?;
    if address.is_ipv4() != subnet.addr().is_ipv4() {
        return Err(format!("parent subnet is an {} block", family(subnet)));
    }
    if !subnet.contains(&address) {
        return Err(format!(
            "parent subnet {subnet} doesn't contain this address"
        ));
    }
    Ok(Some(address))
}
