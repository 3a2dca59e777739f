//! Who has which address of a subnet, of either family.
//!
//! The next address is searched after the last one given out, so that a released address rests as long as possible:
//! the host's and the neighbours' caches may still know its former owner.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::{Error, Result};

/// The addresses of one subnet, as offsets from its first.
#[derive(Debug)]
pub(crate) struct Ipam {
    subnet: IpNet,
    /// What is given out to those who name no address: first and last.
    range: (u128, u128),
    /// Nobody's: the edges, the gateway, and those that belong to others.
    reserved: BTreeSet<u128>,
    used: BTreeSet<u128>,
    next: u128,
}

impl Ipam {
    /// All free but the subnet's own address, its broadcast address and those reserved.
    pub(crate) fn new(
        subnet: IpNet,
        range: Option<IpNet>,
        reserved: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        let subnet = subnet.trunc();
        let base = number(subnet.network());
        let last = number(subnet.broadcast()) - base;
        let range = range.map_or((0, last), |range| {
            (
                number(range.network()) - base,
                number(range.broadcast()) - base,
            )
        });
        let mut ipam = Self {
            subnet,
            range,
            reserved: BTreeSet::from([0]),
            used: BTreeSet::new(),
            next: range.0,
        };
        if subnet.addr().is_ipv4() {
            ipam.reserved.insert(last);
        }
        let reserved: Vec<u128> = reserved
            .into_iter()
            .filter_map(|address| ipam.offset(address))
            .collect();
        ipam.reserved.extend(reserved);
        ipam
    }

    /// Gives out a free address.
    pub(crate) fn allocate(&mut self) -> Result<IpAddr> {
        let (first, last) = self.range;
        let free = |offset: &u128| !self.used.contains(offset) && !self.reserved.contains(offset);
        let found = (self.next..=last)
            .find(free)
            .or_else(|| (first..self.next).find(free));
        let offset = found.ok_or(Error::Exhausted {
            subnet: self.subnet,
        })?;
        self.used.insert(offset);
        self.next = if offset == last { first } else { offset + 1 };
        Ok(self.address(offset))
    }

    /// Claims one address.
    pub(crate) fn claim(&mut self, address: IpAddr) -> Result<()> {
        let offset =
            self.offset(address)
                .filter(|offset| *offset != 0)
                .ok_or(Error::AddressOutside {
                    address,
                    subnet: self.subnet,
                })?;
        if self.reserved.contains(&offset) || !self.used.insert(offset) {
            return Err(Error::AddressInUse { address });
        }
        // An address of an earlier daemon's container: what follows it has rested the longest.
        if (self.next..self.range.1).contains(&offset) {
            self.next = offset + 1;
        }
        Ok(())
    }

    /// Gives an address back; one that was free stays free.
    pub(crate) fn release(&mut self, address: IpAddr) {
        if let Some(offset) = self.offset(address) {
            self.used.remove(&offset);
        }
    }

    fn offset(&self, address: IpAddr) -> Option<u128> {
        self.subnet
            .contains(&address)
            .then(|| number(address) - number(self.subnet.network()))
    }

    fn address(&self, offset: u128) -> IpAddr {
        let value = number(self.subnet.network()) + offset;
        match self.subnet {
            IpNet::V4(_) => Ipv4Addr::from(u32::try_from(value).unwrap_or(0)).into(),
            IpNet::V6(_) => Ipv6Addr::from(value).into(),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => u32::from(four).into(),
        IpAddr::V6(six) => six.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipam(subnet: &str, gateway: &str) -> Ipam {
        Ipam::new(subnet.parse().unwrap(), None, [gateway.parse().unwrap()])
    }

    fn next(ipam: &mut Ipam) -> String {
        ipam.allocate()
            .map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    #[test]
    fn the_gateway_and_the_edges_are_never_given_out() {
        let mut ipam = ipam("10.0.0.0/29", "10.0.0.1");
        let all: Vec<_> = (0..5).map(|_| next(&mut ipam)).collect();
        assert_eq!(
            all,
            ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
        );
        assert!(matches!(ipam.allocate(), Err(Error::Exhausted { .. })));
        ipam.release("10.0.0.4".parse().unwrap());
        assert_eq!(next(&mut ipam), "10.0.0.4");
    }

    #[test]
    fn a_released_address_rests() {
        let mut ipam = ipam("10.0.0.0/24", "10.0.0.1");
        let first = ipam.allocate().unwrap();
        ipam.release(first);
        assert_ne!(ipam.allocate().unwrap(), first);
    }

    #[test]
    fn a_claimed_address_has_one_owner() {
        let mut ipam = ipam("10.0.0.0/24", "10.0.0.1");
        let address = "10.0.0.2".parse().unwrap();
        ipam.claim(address).unwrap();
        for taken in ["10.0.0.2", "10.0.0.1", "10.0.0.255"] {
            let claimed = ipam.claim(taken.parse().unwrap());
            assert!(
                matches!(claimed, Err(Error::AddressInUse { .. })),
                "{taken}"
            );
        }
        let outside = ipam.claim("10.0.1.2".parse().unwrap());
        assert!(matches!(outside, Err(Error::AddressOutside { .. })));
        assert_eq!(next(&mut ipam), "10.0.0.3");
    }

    #[test]
    fn a_large_subnet_is_given_out_whole() {
        let mut ipam = ipam("10.0.0.0/20", "10.0.0.1");
        for _ in 0..4093 {
            ipam.allocate().unwrap();
        }
        assert!(ipam.allocate().is_err());
    }

    #[test]
    fn a_range_bounds_what_is_given_out_and_not_what_is_claimed() {
        let range = "10.0.0.64/30".parse().unwrap();
        let auxiliary = "10.0.0.65".parse().unwrap();
        let mut ipam = Ipam::new("10.0.0.0/24".parse().unwrap(), Some(range), [auxiliary]);
        assert_eq!(next(&mut ipam), "10.0.0.64");
        assert_eq!(next(&mut ipam), "10.0.0.66");
        assert_eq!(next(&mut ipam), "10.0.0.67");
        assert!(ipam.allocate().is_err());
        ipam.claim("10.0.0.9".parse().unwrap()).unwrap();
        ipam.release("10.0.0.66".parse().unwrap());
        assert_eq!(next(&mut ipam), "10.0.0.66");
    }

    #[test]
    fn ipv6_has_no_broadcast_address_and_no_end() {
        let mut six = ipam("fd00::/64", "fd00::1");
        assert_eq!(next(&mut six), "fd00::2");
        six.claim("fd00::ffff:ffff:ffff:ffff".parse().unwrap())
            .unwrap();
        assert_eq!(next(&mut six), "fd00::3");
    }
}
