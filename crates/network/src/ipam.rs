//! Who has which address of a subnet: one bit an address.
//!
//! The next address is searched after the last one given out, so that a released address rests as long as possible:
//! the host's and the neighbours' caches may still know its former owner.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::{Error, Result};

/// The addresses of one subnet.
#[derive(Debug)]
pub(crate) struct Ipam {
    subnet: Ipv4Net,
    used: Vec<u64>,
    size: u32,
    next: u32,
}

impl Ipam {
    /// All free but the subnet's own address, its broadcast address and the gateway.
    pub(crate) fn new(subnet: Ipv4Net, gateway: Ipv4Addr) -> Self {
        let size = 1_u32 << (32 - u32::from(subnet.prefix_len()));
        let words = (size as usize).div_ceil(64);
        let mut ipam = Self {
            subnet: subnet.trunc(),
            used: vec![0; words],
            size,
            next: 1,
        };
        ipam.set(0, true);
        ipam.set(size - 1, true);
        ipam.set(ipam.offset(gateway).unwrap_or(0), true);
        ipam
    }

    /// Gives out a free address.
    pub(crate) fn allocate(&mut self) -> Result<Ipv4Addr> {
        let offset = self
            .first_free(self.next, self.size)
            .or_else(|| self.first_free(0, self.next))
            .ok_or(Error::Exhausted {
                subnet: self.subnet,
            })?;
        self.set(offset, true);
        self.next = (offset + 1) % self.size;
        Ok(Ipv4Addr::from(u32::from(self.subnet.network()) + offset))
    }

    /// Claims one address.
    pub(crate) fn claim(&mut self, address: Ipv4Addr) -> Result<()> {
        let outside = Error::AddressOutside {
            address,
            subnet: self.subnet,
        };
        let Some(offset) = self.offset(address) else {
            return Err(outside);
        };
        if offset == 0 || offset == self.size - 1 {
            return Err(outside);
        }
        if self.get(offset) {
            return Err(Error::AddressInUse { address });
        }
        self.set(offset, true);
        // An address of an earlier daemon's container: what follows it has rested the longest.
        self.next = self.next.max((offset + 1) % self.size);
        Ok(())
    }

    /// Gives an address back; one that was free stays free.
    pub(crate) fn release(&mut self, address: Ipv4Addr) {
        if let Some(offset) = self.offset(address) {
            self.set(offset, false);
        }
    }

    fn offset(&self, address: Ipv4Addr) -> Option<u32> {
        self.subnet
            .contains(&address)
            .then(|| u32::from(address) - u32::from(self.subnet.network()))
    }

    fn first_free(&self, from: u32, to: u32) -> Option<u32> {
        let mut at = from;
        while at < to {
            let word = !self.used[(at / 64) as usize] >> (at % 64);
            if word == 0 {
                at = (at / 64 + 1) * 64;
                continue;
            }
            let found = at + word.trailing_zeros();
            return (found < to).then_some(found);
        }
        None
    }

    fn get(&self, offset: u32) -> bool {
        self.used[(offset / 64) as usize] >> (offset % 64) & 1 == 1
    }

    fn set(&mut self, offset: u32, value: bool) {
        let word = &mut self.used[(offset / 64) as usize];
        let bit = 1 << (offset % 64);
        *word = if value { *word | bit } else { *word & !bit };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipam(subnet: &str, gateway: &str) -> Ipam {
        Ipam::new(subnet.parse().unwrap(), gateway.parse().unwrap())
    }

    #[test]
    fn the_gateway_and_the_edges_are_never_given_out() {
        let mut ipam = ipam("10.0.0.0/29", "10.0.0.1");
        let all: Vec<_> = (0..5)
            .map(|_| ipam.allocate().unwrap().octets()[3])
            .collect();
        assert_eq!(all, [2, 3, 4, 5, 6]);
        assert!(matches!(ipam.allocate(), Err(Error::Exhausted { .. })));
        ipam.release("10.0.0.4".parse().unwrap());
        assert_eq!(ipam.allocate().unwrap().octets()[3], 4);
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
        assert!(matches!(
            ipam.claim(address),
            Err(Error::AddressInUse { .. })
        ));
        assert!(matches!(
            ipam.claim("10.0.0.255".parse().unwrap()),
            Err(Error::AddressOutside { .. })
        ));
        assert!(matches!(
            ipam.claim("10.0.1.2".parse().unwrap()),
            Err(Error::AddressOutside { .. })
        ));
        assert_eq!(ipam.allocate().unwrap().octets()[3], 3);
    }

    #[test]
    fn a_large_subnet_is_given_out_whole() {
        let mut ipam = ipam("10.0.0.0/20", "10.0.0.1");
        for _ in 0..4093 {
            ipam.allocate().unwrap();
        }
        assert!(ipam.allocate().is_err());
    }
}
