//! From what is asked of a new network to its record: names, subnets and gateways settled, so that it can be made again at
//! every start of the daemon.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;

use crate::options::Options;
use crate::parent::Parent;
use crate::record::{Driver, Pool, Record};
use crate::subnet::{self, AddressPool};
use crate::{Error, Result};

/// What is asked of a new network.
#[derive(Clone, Debug)]
pub struct Create {
    /// Its name.
    pub name: String,
    /// How containers are connected.
    pub driver: Driver,
    /// No way out of it.
    pub internal: bool,
    /// Kept and shown.
    pub attachable: bool,
    /// Addresses of IPv4.
    pub enable_ipv4: bool,
    /// Addresses of IPv6; nothing said: where the host has them.
    pub enable_ipv6: Option<bool>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Options of the address management.
    pub ipam_options: BTreeMap<String, String>,
    /// Subnets that the user chose.
    pub pools: Vec<Pool>,
    /// A configuration for other networks and nothing else.
    pub config_only: bool,
    /// The network whose configuration it gets; empty: its own.
    pub config_from: String,
}

/// What is known of the host and of the other networks.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// Addresses and routes of the host.
    pub(crate) host: &'a [IpNet],
    /// Subnets of the other networks.
    pub(crate) networks: &'a [IpNet],
    /// Where subnets come from that nobody chose.
    pub(crate) pools: &'a [AddressPool],
    /// Whether the host reaches the world by IPv6.
    pub(crate) ipv6: bool,
}

/// What is asked, with the configuration of the network that it names; in Docker's words.
pub(crate) fn configured<'a>(
    mut create: Create,
    mut records: impl Iterator<Item = &'a Record>,
) -> Result<Create> {
    let forbidden = |why: &str| Err(Error::Forbidden(why.to_owned()));
    if create.config_from.is_empty() {
        return Ok(create);
    }
    if create.config_only {
        return forbidden("a configuration network cannot depend on another configuration network");
    }
    let own = !create.enable_ipv4
        || create.enable_ipv6 == Some(true)
        || !create.labels.is_empty()
        || !create.ipam_options.is_empty()
        || !create.pools.is_empty();
    if own {
        return forbidden(
            "user specified configurations are not supported if the network depends on a configuration network",
        );
    }
    if !create.options.is_empty() {
        return forbidden(
            "network driver options are not supported if the network depends on a configuration network",
        );
    }
    let from = records
        .find(|record| record.config_only && record.name == create.config_from)
        .ok_or_else(|| {
            let name = &create.config_from;
            Error::Missing(format!("configuration network {name:?} does not exist"))
        })?;
    create.enable_ipv4 = from.enable_ipv4;
    create.enable_ipv6 = Some(from.enable_ipv6);
    create.labels.clone_from(&from.labels);
    create.options.clone_from(&from.options);
    create.ipam_options.clone_from(&from.ipam_options);
    create.pools.clone_from(&from.pools);
    Ok(create)
}

/// The record of a new network.
pub(crate) fn record(create: Create, around: &Surroundings<'_>) -> Result<Record> {
    check_name(&create.name)?;
    match create.driver {
        // Its options are those of the networks that it is for.
        _ if create.config_only => {}
        Driver::Macvlan | Driver::Ipvlan => {
            Parent::parse(create.driver, &create.options)?;
        }
        _ => {
            Options::parse(&create.options, create.internal)?;
        }
    }
    let asked6 = create.pools.iter().any(|pool| pool.subnet.addr().is_ipv6());
    let enable_ipv6 = create
        .enable_ipv6
        .unwrap_or(create.wants_ipv6(around.ipv6, asked6));
    if !create.enable_ipv4 && !enable_ipv6 {
        return Err(Error::Invalid("IPv4 or IPv6 must be enabled".to_owned()));
    }
    let mut pools = Vec::new();
    for (six, enabled) in [(false, create.enable_ipv4), (true, enable_ipv6)] {
        if enabled && !create.config_only {
            let of_family = create
                .pools
                .iter()
                .filter(|pool| pool.subnet.addr().is_ipv6() == six);
            pools.extend(family(
                of_family.cloned().collect(),
                six,
                create.driver,
                around,
            )?);
        }
    }
    if create.config_only {
        pools = create.pools;
    }
    Ok(Record {
        id: stdx::id::random_hex(),
        name: create.name,
        created: SystemTime::now(),
        driver: if create.config_only {
            Driver::Null
        } else {
            create.driver
        },
        enable_ipv4: create.enable_ipv4,
        enable_ipv6,
        internal: create.internal,
        attachable: create.attachable,
        labels: create.labels,
        options: create.options,
        ipam_options: create.ipam_options,
        pools,
        config_only: create.config_only,
        config_from: create.config_from,
    })
}

impl Create {
    /// Whether it has IPv6 where nobody said so: a bridge does where the host has it. Beside an interface of the host only
    /// its owner knows what addresses there are, and a configuration has what it is given.
    fn wants_ipv6(&self, host_has_it: bool, asked: bool) -> bool {
        match self.driver {
            _ if self.config_only => asked,
            Driver::Bridge => host_has_it && (asked || self.pools.is_empty()),
            _ => asked,
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    let mut characters = name.chars();
    let first = characters
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric());
    let rest = characters.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if first && rest {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "invalid network name {name:?}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

/// The pools of one family: those that were asked for, else a free one.
fn family(
    mut pools: Vec<Pool>,
    six: bool,
    driver: Driver,
    around: &Surroundings<'_>,
) -> Result<Vec<Pool>> {
    if pools.is_empty() {
        let taken: Vec<IpNet> = around.host.iter().chain(around.networks).copied().collect();
        pools.push(Pool {
            subnet: subnet::choose(around.pools, six, &taken).ok_or(Error::NoSubnet)?,
            range: None,
            gateway: None,
            auxiliary: BTreeMap::new(),
            by_user: false,
        });
    }
    if driver == Driver::Bridge && pools.len() > 1 {
        let family = if six { "ipv6" } else { "ipv4" };
        return Err(Error::Conflict(format!(
            "bridge driver doesn't support multiple subnets: two {family} subnets were given"
        )));
    }
    let subnets: Vec<IpNet> = pools.iter().map(|pool| pool.subnet).collect();
    for (position, pool) in pools.iter_mut().enumerate() {
        check(pool, driver, around)?;
        if overlaps(&subnets[..position], pool.subnet) {
            return Err(Error::Overlap);
        }
        pool.gateway.get_or_insert(free(pool));
    }
    Ok(pools)
}

fn overlaps(others: &[IpNet], subnet: IpNet) -> bool {
    others.iter().any(|other| subnet::overlap(*other, subnet))
}

/// What a user chose may not be another network's, nor an address of the host: unless containers are beside one of its
/// interfaces, and share the link's subnet with it.
fn check(pool: &Pool, driver: Driver, around: &Surroundings<'_>) -> Result<()> {
    if pool.subnet.prefix_len() + 1 >= pool.subnet.max_prefix_len() {
        return Err(Error::Invalid(format!(
            "invalid subnet {}: it has no room for a gateway and a container",
            pool.subnet
        )));
    }
    let beside_host = driver == Driver::Bridge && overlaps(around.host, pool.subnet);
    if beside_host || overlaps(around.networks, pool.subnet) {
        return Err(Error::Overlap);
    }
    Ok(())
}

/// The first address of the range, or of the subnet, that is nobody's.
fn free(pool: &Pool) -> IpAddr {
    let first = match pool.range {
        Some(range) if range.network() != pool.subnet.network() => range.network(),
        _ => subnet::first(pool.subnet),
    };
    let taken = |address: &IpAddr| pool.auxiliary.values().any(|other| other == address);
    let mut address = first;
    while taken(&address) {
        address = subnet::first(IpNet::from(address));
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(subnets: &[&str]) -> Create {
        let pool = |subnet: &&str| Pool {
            subnet: subnet.parse().unwrap(),
            range: None,
            gateway: None,
            auxiliary: BTreeMap::new(),
            by_user: true,
        };
        Create {
            name: "web".into(),
            driver: Driver::Bridge,
            internal: false,
            attachable: false,
            enable_ipv4: true,
            enable_ipv6: None,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            ipam_options: BTreeMap::new(),
            pools: subnets.iter().map(pool).collect(),
            config_only: false,
            config_from: String::new(),
        }
    }

    fn around<'a>(networks: &'a [IpNet], pools: &'a [AddressPool]) -> Surroundings<'a> {
        Surroundings {
            host: &[],
            networks,
            pools,
            ipv6: false,
        }
    }

    #[test]
    fn a_hundred_networks_without_a_subnet_find_one() {
        let pools = subnet::defaults();
        let mut networks = Vec::new();
        for _ in 0..100 {
            let record = record(create(&[]), &around(&networks, &pools)).unwrap();
            networks.push(record.pools[0].subnet);
        }
        assert_eq!(networks[0].to_string(), "172.17.0.0/16");
        assert_eq!(networks[99].to_string(), "10.192.68.0/24");
    }

    #[test]
    fn gateways_are_first_and_subnets_are_apart() {
        let made = record(create(&["10.1.0.0/24"]), &around(&[], &[])).unwrap();
        assert_eq!(made.pools[0].gateway.unwrap().to_string(), "10.1.0.1");
        let others = ["10.1.0.128/25".parse().unwrap()];
        let error = record(create(&["10.1.0.0/24"]), &around(&others, &[])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid pool request: Pool overlaps with other one on this address space"
        );
        let mut ranged = create(&["10.1.0.0/24"]);
        ranged.pools[0].range = Some("10.1.0.64/26".parse().unwrap());
        let made = record(ranged, &around(&[], &[])).unwrap();
        assert_eq!(made.pools[0].gateway.unwrap().to_string(), "10.1.0.64");
    }

    #[test]
    fn beside_an_interface_there_may_be_several_subnets() {
        let beside = |subnets| Create {
            driver: Driver::Macvlan,
            ..create(subnets)
        };
        let subnets = ["10.1.0.0/24", "10.2.0.0/24"];
        let made = record(beside(&subnets), &around(&[], &[])).unwrap();
        let gateways = made.pools.iter().map(|pool| pool.gateway.unwrap());
        let gateways: Vec<String> = gateways.map(|gateway| gateway.to_string()).collect();
        assert_eq!(gateways, ["10.1.0.1", "10.2.0.1"]);
        let refused = |create| record(create, &around(&[], &[])).unwrap_err();
        let within = beside(&["10.1.0.0/24", "10.1.0.128/25"]);
        assert!(matches!(refused(within), Error::Overlap));
        assert!(matches!(refused(create(&subnets)), Error::Conflict(_)));
    }

    #[test]
    fn ipv6_is_on_when_asked_for_and_where_the_host_has_it() {
        let pools = [subnet::local("0011223344"), subnet::defaults()[0]];
        let mut asked = create(&[]);
        asked.enable_ipv6 = Some(true);
        let made = record(asked, &around(&[], &pools)).unwrap();
        assert_eq!(made.pools[1].subnet.to_string(), "fd00:1122:3344::/64");
        let mut here = around(&[], &pools);
        here.ipv6 = true;
        assert!(record(create(&[]), &here).unwrap().enable_ipv6);
        let mut refused = create(&[]);
        refused.enable_ipv6 = Some(false);
        assert!(!record(refused, &here).unwrap().enable_ipv6);
    }
}
