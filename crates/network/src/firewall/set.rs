//! The sets that the rules look into, and what of a network is in each.

use super::{
    ACK, CREATE, FAMILY_INET, IpAddr, IpNet, Message, NEWSET, NEWSETELEM, Network, header,
};

/// One set of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Set {
    pub(super) name: &'static str,
    /// Names it inside the batch that makes it.
    pub(super) id: u32,
    kind: Kind,
    /// Which networks are in it.
    of: fn(&Network) -> bool,
}

/// What the elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Interface,
    Pair,
    Subnet4,
    Subnet6,
}

pub(super) const BRIDGES: Set = Set::new("bridges", 1, Kind::Interface, |_| true);
pub(super) const CLOSED: Set = Set::new("closed", 2, Kind::Interface, |n| n.internal);
pub(super) const OPEN: Set = Set::new("open", 3, Kind::Interface, |n| n.open);
pub(super) const WITHIN: Set = Set::new("within", 4, Kind::Pair, |n| n.within);
pub(super) const GUARD4: Set = Set::new("guard4", 5, Kind::Subnet4, |n| !n.open);
pub(super) const GUARD6: Set = Set::new("guard6", 6, Kind::Subnet6, |n| !n.open);
pub(super) const NAT4: Set = Set::new("nat4", 7, Kind::Subnet4, |n| n.masquerade);
pub(super) const NAT6: Set = Set::new("nat6", 8, Kind::Subnet6, |n| n.masquerade);
pub(super) const SETS: [Set; 8] = [BRIDGES, CLOSED, OPEN, WITHIN, GUARD4, GUARD6, NAT4, NAT6];

/// nft's number of the type of interface names.
const NFT_IFNAME: u32 = 41;
const SET_INTERVAL: u32 = 4;
const ELEMENT_INTERVAL_END: u32 = 1;
/// An attribute holds 64 KiB; an element of the widest set takes 48 bytes.
const ELEMENTS: usize = 1000;

impl Set {
    const fn new(name: &'static str, id: u32, kind: Kind, of: fn(&Network) -> bool) -> Self {
        Self { name, id, kind, of }
    }

    /// Whether it holds subnets of IPv6.
    pub(super) fn is_ipv6(&self) -> bool {
        self.kind == Kind::Subnet6
    }

    /// The set with its elements.
    pub(super) fn messages(&self, table: &str, networks: &[Network]) -> Vec<Message> {
        let number = |m: Message, kind, value: u32| m.attribute(kind, &value.to_be_bytes());
        // nft's number of the type, for those who list it, and the length, for the kernel.
        let (nft_type, length, flags) = match self.kind {
            Kind::Interface => (NFT_IFNAME, 16, 0),
            Kind::Pair => (NFT_IFNAME << 6 | NFT_IFNAME, 32, 0),
            Kind::Subnet4 => (7, 4, SET_INTERVAL),
            Kind::Subnet6 => (8, 16, SET_INTERVAL),
        };
        let made = Message::new(NEWSET, ACK | CREATE)
            .raw(&header(FAMILY_INET, 0))
            .string(1, table)
            .string(2, self.name);
        let made = [(3, flags), (4, nft_type), (5, length), (10, self.id)]
            .into_iter()
            .fold(made, |m, (kind, value)| number(m, kind, value));
        let elements = self.elements(networks);
        let filled = elements.chunks(ELEMENTS).map(|part| {
            Message::new(NEWSETELEM, ACK | CREATE)
                .raw(&header(FAMILY_INET, 0))
                .string(1, table)
                .string(2, self.name)
                .nest(3, |m| {
                    part.iter().fold(m, |m, (key, end)| {
                        m.nest(1, |m| {
                            let m = m.nest(1, |m| m.attribute(1, key));
                            if *end {
                                number(m, 3, ELEMENT_INTERVAL_END)
                            } else {
                                m
                            }
                        })
                    })
                })
        });
        std::iter::once(made).chain(filled).collect()
    }

    /// Keys, and whether each is the first after an interval.
    fn elements(&self, networks: &[Network]) -> Vec<(Vec<u8>, bool)> {
        let members = networks.iter().filter(|network| (self.of)(network));
        match self.kind {
            Kind::Interface => members.map(|n| (padded(&n.bridge), false)).collect(),
            Kind::Pair => members
                .map(|n| ([padded(&n.bridge), padded(&n.bridge)].concat(), false))
                .collect(),
            Kind::Subnet4 | Kind::Subnet6 => members
                .flat_map(|network| &network.subnets)
                .filter(|subnet| subnet.addr().is_ipv6() == (self.kind == Kind::Subnet6))
                .flat_map(|subnet| interval(*subnet))
                .collect(),
        }
    }
}

/// A subnet's first address, and the first one after it unless that is beyond the last of all.
fn interval(subnet: IpNet) -> Vec<(Vec<u8>, bool)> {
    let octets = |address: IpAddr| match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    };
    let mut after = octets(subnet.broadcast());
    for byte in after.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    let mut keys = vec![(octets(subnet.network()), false)];
    if after.iter().any(|byte| *byte != 0) {
        keys.push((after, true));
    }
    keys
}

fn padded(interface: &str) -> Vec<u8> {
    let mut name = interface.as_bytes().to_vec();
    name.resize(16, 0);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_ends_before_the_next_address() {
        let bytes = |text: &str| interval(text.parse().unwrap());
        assert_eq!(
            bytes("10.1.255.0/24"),
            [(vec![10, 1, 255, 0], false), (vec![10, 2, 0, 0], true)]
        );
        assert_eq!(bytes("255.0.0.0/8"), [(vec![255, 0, 0, 0], false)]);
    }
}
