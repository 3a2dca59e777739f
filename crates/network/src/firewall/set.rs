//! The sets that the rules look into, and what of a network is in each.

use ipnet::IpNet;
use sys::netlink::Message;

use super::Network;
use crate::link::octets;
use crate::nft::{self, Element, Family, Reference, Table, padded, types};
use crate::options::GatewayMode;

/// One set of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Set {
    pub(super) reference: Reference,
    key: &'static [(u32, u32)],
    intervals: bool,
    /// What of a network is in it.
    elements: fn(&Network) -> Vec<Element>,
}

/// A set of addresses or subnets of one family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) set: Set,
    pub(super) family: Family,
}

const NAME: (u32, u32) = (types::INTERFACE, 16);
const FAMILY: (u32, u32) = (types::FAMILY, 4);
const FOUR: (u32, u32) = (types::IPV4, 4);
const SIX: (u32, u32) = (types::IPV6, 16);
// Next to others each part takes whole registers.
const PROTOCOL: (u32, u32) = (types::PROTOCOL, 4);
const PORT: (u32, u32) = (types::PORT, 4);

pub(super) const BRIDGES: Set = Set::new("bridges", 1, &[NAME], |n| vec![key([&n.bridge])]);
pub(super) const CLOSED: Set = Set::new("closed", 2, &[NAME], |n| {
    n.internal.then(|| key([&n.bridge])).into_iter().collect()
});
pub(super) const OPEN: Set = Set::new("open", 3, &[NAME, FAMILY], |n| {
    families(n, GatewayMode::Unprotected)
});
pub(super) const WITHIN: Set = Set::new("within", 4, &[NAME, NAME], |n| {
    let pair = || key([&n.bridge, &n.bridge]);
    n.within.then(pair).into_iter().collect()
});
pub(super) const GUARDS: [Range; 2] = [
    Range::new("guard4", 5, &[FOUR], |n| guarded(n, Family::V4)),
    Range::new("guard6", 6, &[SIX], |n| guarded(n, Family::V6)),
];
pub(super) const NATS: [Range; 2] = [
    Range::new("nat4", 7, &[FOUR], |n| hidden(n, Family::V4)),
    Range::new("nat6", 8, &[SIX], |n| hidden(n, Family::V6)),
];
pub(super) const HOMES: [Range; 2] = [
    Range::new("home4", 9, &[NAME, FOUR], |n| home(n, Family::V4)),
    Range::new("home6", 10, &[NAME, SIX], |n| home(n, Family::V6)),
];
pub(super) const ROUTED: Set = Set::new("routed", 11, &[NAME, FAMILY], |n| {
    families(n, GatewayMode::Routed)
});
/// What is published on networks in routed mode; their elements are no network's.
pub(super) const PUBLISHED: [Range; 2] = [
    Range::exact("published4", 12, &[FOUR, PROTOCOL, PORT]),
    Range::exact("published6", 13, &[SIX, PROTOCOL, PORT]),
];
pub(super) const SETS: [Set; 13] = [
    BRIDGES,
    CLOSED,
    OPEN,
    WITHIN,
    GUARDS[0].set,
    GUARDS[1].set,
    NATS[0].set,
    NATS[1].set,
    HOMES[0].set,
    HOMES[1].set,
    ROUTED,
    PUBLISHED[0].set,
    PUBLISHED[1].set,
];

impl Set {
    const fn new(
        name: &'static str,
        id: u32,
        key: &'static [(u32, u32)],
        elements: fn(&Network) -> Vec<Element>,
    ) -> Self {
        Self {
            reference: Reference { name, id },
            key,
            intervals: false,
            elements,
        }
    }

    /// What of these networks is in it.
    pub(super) fn elements(self, networks: &[Network]) -> impl Iterator<Item = Element> {
        networks.iter().flat_map(self.elements)
    }

    /// The set with its elements.
    pub(super) fn messages(&self, table: Table<'_>, networks: &[Network]) -> Vec<Message> {
        let elements: Vec<Element> = self.elements(networks).collect();
        let mut messages = vec![table.set(nft::Set {
            reference: self.reference,
            key: self.key,
            data: None,
            intervals: self.intervals,
        })];
        messages.extend(table.elements(self.reference.name, &elements, true));
        messages
    }
}

impl Range {
    const fn new(
        name: &'static str,
        id: u32,
        key: &'static [(u32, u32)],
        elements: fn(&Network) -> Vec<Element>,
    ) -> Self {
        let mut set = Set::new(name, id, key, elements);
        set.intervals = true;
        let family = family(key[key.len() - 1]);
        Self { set, family }
    }

    /// A set of single addresses, each with more behind it.
    const fn exact(name: &'static str, id: u32, key: &'static [(u32, u32)]) -> Self {
        let set = Set::new(name, id, key, |_| Vec::new());
        let family = family(key[0]);
        Self { set, family }
    }

    /// How many bytes an address has.
    pub(super) fn width(&self) -> u32 {
        match self.family {
            Family::V6 => 16,
            _ => 4,
        }
    }
}

/// The family of the addresses in this part of a key.
const fn family((kind, _): (u32, u32)) -> Family {
    match kind {
        types::IPV6 => Family::V6,
        _ => Family::V4,
    }
}

/// A bridge with the families that are reached in this mode.
fn families(network: &Network, mode: GatewayMode) -> Vec<Element> {
    [Family::V4, Family::V6]
        .into_iter()
        .filter(|family| network.mode(*family) == mode)
        .map(|family| {
            let mut element = key([&network.bridge]);
            element.key.extend([family.number(), 0, 0, 0]);
            element
        })
        .collect()
}

fn key<const N: usize>(interfaces: [&str; N]) -> Element {
    Element {
        key: interfaces.map(padded).concat(),
        ..Element::default()
    }
}

/// Subnets that no neighbour reaches by their own addresses.
fn guarded(network: &Network, family: Family) -> Vec<Element> {
    let mode = network.mode(family);
    if matches!(mode, GatewayMode::Unprotected | GatewayMode::Routed) {
        return Vec::new();
    }
    subnets(network, family).flat_map(interval).collect()
}

/// Subnets behind the host's address.
fn hidden(network: &Network, family: Family) -> Vec<Element> {
    if !network.masquerade || network.mode(family) == GatewayMode::Routed {
        return Vec::new();
    }
    subnets(network, family).flat_map(interval).collect()
}

/// A bridge with its own subnets.
fn home(network: &Network, family: Family) -> Vec<Element> {
    let at = |address| [padded(&network.bridge), octets(address)].concat();
    subnets(network, family)
        .map(|subnet| Element {
            key: at(subnet.network()),
            last: Some(at(subnet.broadcast())),
            ..Element::default()
        })
        .collect()
}

fn subnets(network: &Network, family: Family) -> impl Iterator<Item = IpNet> {
    let subnets = network.subnets.iter().copied();
    subnets.filter(move |subnet| Family::of(subnet.addr()) == family)
}

/// A subnet's first address, and the first one after it unless that is beyond the last of all.
fn interval(subnet: IpNet) -> Vec<Element> {
    let mut next = octets(subnet.broadcast());
    for byte in next.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    let mut elements = vec![Element {
        key: octets(subnet.network()),
        ..Element::default()
    }];
    if next.iter().any(|byte| *byte != 0) {
        elements.push(Element {
            key: next,
            after: true,
            ..Element::default()
        });
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_ends_before_the_next_address() {
        let bytes = |text: &str| -> Vec<(Vec<u8>, bool)> {
            let elements = interval(text.parse().unwrap());
            elements.into_iter().map(|e| (e.key, e.after)).collect()
        };
        assert_eq!(
            bytes("10.1.255.0/24"),
            [(vec![10, 1, 255, 0], false), (vec![10, 2, 0, 0], true)]
        );
        assert_eq!(bytes("255.0.0.0/8"), [(vec![255, 0, 0, 0], false)]);
    }
}
