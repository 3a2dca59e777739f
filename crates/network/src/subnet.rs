//! Which subnet a network gets when the user named none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// Addresses that networks without a subnet of their own take theirs from, in pieces of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPool {
    /// All of them.
    pub base: IpNet,
    /// The prefix length of a piece.
    pub size: u8,
}

impl AddressPool {
    /// The pieces, in order.
    fn pieces(self) -> impl Iterator<Item = IpNet> {
        let four = match self.base {
            IpNet::V4(base) => base.subnets(self.size).ok(),
            IpNet::V6(_) => None,
        };
        let six = match self.base {
            IpNet::V6(base) => base.subnets(self.size).ok(),
            IpNet::V4(_) => None,
        };
        let four = four.into_iter().flatten().map(IpNet::V4);
        four.chain(six.into_iter().flatten().map(IpNet::V6))
    }
}

/// Docker's default address pools: 172.17/16 to 172.31/16, then sixteen /20 of 192.168/16. After those thirty-one there is
/// more, so that nobody runs out: /24 of 10.192/10.
pub(crate) fn defaults() -> Vec<AddressPool> {
    let pool = |address: Ipv4Addr, prefix, size| AddressPool {
        base: Ipv4Net::new_assert(address, prefix).into(),
        size,
    };
    let mut pools: Vec<_> = (17..=31)
        .map(|second| pool(Ipv4Addr::new(172, second, 0, 0), 16, 16))
        .collect();
    pools.push(pool(Ipv4Addr::new(192, 168, 0, 0), 16, 20));
    pools.push(pool(Ipv4Addr::new(10, 192, 0, 0), 10, 24));
    pools
}

/// A unique local prefix of this host's (RFC 4193): `seed` is hexadecimal and random, and stays.
pub(crate) fn local(seed: &str) -> AddressPool {
    let bits = u128::from_str_radix(seed.get(..10).unwrap_or("0"), 16).unwrap_or(0);
    let address = Ipv6Addr::from(0xfd << 120 | bits << 80);
    AddressPool {
        base: Ipv6Net::new_assert(address, 48).into(),
        size: 64,
    }
}

/// The first piece of these pools, of one family, that overlaps none of the others.
pub(crate) fn choose(pools: &[AddressPool], six: bool, taken: &[IpNet]) -> Option<IpNet> {
    pools
        .iter()
        .filter(|pool| pool.base.addr().is_ipv6() == six)
        .flat_map(|pool| pool.pieces())
        .find(|piece| !taken.iter().any(|other| overlap(*piece, *other)))
}

pub(crate) fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// The address after a subnet's own: the gateway, where nobody chose another.
pub(crate) fn first(subnet: IpNet) -> IpAddr {
    match subnet.network() {
        IpAddr::V4(four) => Ipv4Addr::from(u32::from(four).saturating_add(1)).into(),
        IpAddr::V6(six) => Ipv6Addr::from(u128::from(six).saturating_add(1)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(taken: &[&str], expect: &str) {
        let taken: Vec<IpNet> = taken.iter().map(|net| net.parse().unwrap()).collect();
        assert_eq!(
            choose(&defaults(), false, &taken).unwrap().to_string(),
            expect
        );
    }

    #[test]
    fn the_first_free_pool_is_chosen() {
        check(&[], "172.17.0.0/16");
        check(&["10.0.0.0/8"], "172.17.0.0/16");
        check(&["172.17.4.0/24"], "172.18.0.0/16");
        check(&["172.16.0.0/12"], "192.168.0.0/20");
        check(&["172.16.0.0/12", "192.168.1.0/24"], "192.168.16.0/20");
        check(&["172.16.0.0/12", "192.168.0.0/16"], "10.192.0.0/24");
        let all = ["172.16.0.0/12", "192.168.0.0/16", "10.0.0.0/8"];
        let all: Vec<IpNet> = all.iter().map(|net| net.parse().unwrap()).collect();
        assert_eq!(choose(&defaults(), false, &all), None);
    }

    #[test]
    fn a_host_has_a_local_prefix_of_its_own() {
        let pool = local("0123456789abcdef");
        assert_eq!(pool.base.to_string(), "fd01:2345:6789::/48");
        let taken = ["fd01:2345:6789::/64".parse().unwrap()];
        let chosen = choose(&[pool], true, &taken).unwrap();
        assert_eq!(chosen.to_string(), "fd01:2345:6789:1::/64");
        assert_eq!(first(chosen).to_string(), "fd01:2345:6789:1::1");
    }
}
