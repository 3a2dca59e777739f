//! The kernel's path of published ports: one table a family with two maps. A port is an element, so that neither a packet
//! nor a change costs more with a thousand of them.
//!
//! ```text
//! table ip <name> {                                          ip6 in the same way
//!   map any     { inet_proto . inet_service : ipv4_addr . inet_service }                published on every address
//!   map address { ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }    published on this one
//!   chain guard       { type filter hook prerouting priority raw;
//!     ip daddr 127.0.0.0/8 iifname != "lo" DESTINATION in @address drop      what is published on localhost stays there
//!   }
//!   chain prerouting  { type nat hook prerouting priority dstnat;            from other hosts and from containers
//!     iifgroup APART accept                                                  netd relays (see `link::APART`)
//!     dnat to DESTINATION map @address
//!     fib daddr type local dnat to PORT map @any
//!   }
//!   chain output      { type nat hook output priority dstnat; the same }     from this host; not to ::1, which cannot leave it
//!   chain postrouting { type nat hook postrouting priority srcnat;
//!     ip saddr 127.0.0.0/8 ct status dnat masquerade                         from localhost: the answer must find back
//!   }
//! }
//! ```
//!
//! The bridges' own tables let through what was translated here, and masquerade what comes back to the network it came from.

use std::net::{IpAddr, Ipv6Addr};

use netd::protocol::Protocol;
use sys::netlink::{Message, Refused, Socket};

use crate::link::{self, octets};
use crate::nft::{
    self, Chain, Conntrack, EQUAL, Element, Family, Hook, Meta, NOT_EQUAL, REGISTER, Reference,
    Rule, Set, Table, types,
};

const ANY: Reference = Reference { name: "any", id: 1 };
const ADDRESS: Reference = Reference {
    name: "address",
    id: 2,
};

/// One published port that the kernel translates. Both addresses are of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Translation {
    pub(crate) protocol: Protocol,
    /// The host's address; unspecified: any.
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    pub(crate) target: IpAddr,
    pub(crate) target_port: u16,
}

impl Translation {
    pub(crate) fn family(&self) -> Family {
        Family::of(self.target)
    }

    fn map(&self) -> Reference {
        if self.host.is_unspecified() {
            ANY
        } else {
            ADDRESS
        }
    }

    /// Every part of a key and of a value takes whole registers of four bytes.
    fn element(&self) -> Element {
        let mut key = if self.host.is_unspecified() {
            Vec::new()
        } else {
            octets(self.host)
        };
        key.extend(service(self.protocol, self.port));
        let mut data = octets(self.target);
        data.extend(padded(self.target_port));
        Element {
            key,
            data: Some(data),
            ..Element::default()
        }
    }
}

/// A transport and a port of it, as they stand in keys.
pub(crate) fn service(protocol: Protocol, port: u16) -> Vec<u8> {
    let number = match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    };
    let mut key = vec![number, 0, 0, 0];
    key.extend(padded(port));
    key
}

fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

/// Replaces the tables by ones with exactly these ports; with none, there are no tables.
pub(crate) fn replace(socket: &Socket, name: &str, ports: &[Translation]) -> Result<(), Refused> {
    let mut messages = Vec::new();
    for family in [Family::V4, Family::V6] {
        let table = Table { family, name };
        if ports.iter().any(|port| port.family() == family) {
            messages.extend(table.renew());
            messages.extend(content(table));
        } else {
            messages.extend(table.clear());
        }
    }
    messages.extend(elements(name, ports, true));
    nft::change(socket, messages)
}

/// Whether the tables of these families have all their rules and exactly these ports.
pub(crate) fn are_whole(
    socket: &Socket,
    name: &str,
    families: impl IntoIterator<Item = Family>,
    ports: &[Translation],
) -> Result<bool, Refused> {
    for family in families {
        let table = Table { family, name };
        if !table.has(socket, &chains(family))? {
            return Ok(false);
        }
        for map in [ANY, ADDRESS] {
            if !table.holds(socket, map.name, of(ports, family, map))? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Adds ports to tables that exist.
pub(crate) fn add(socket: &Socket, name: &str, ports: &[Translation]) -> Result<(), Refused> {
    nft::change(socket, elements(name, ports, true))
}

/// Takes ports out of the tables.
pub(crate) fn remove(socket: &Socket, name: &str, ports: &[Translation]) -> Result<(), Refused> {
    nft::change(socket, elements(name, ports, false))
}

fn elements(name: &str, ports: &[Translation], add: bool) -> Vec<Message> {
    let mut messages = Vec::new();
    for family in [Family::V4, Family::V6] {
        for map in [ANY, ADDRESS] {
            let elements: Vec<Element> = of(ports, family, map).collect();
            messages.extend(Table { family, name }.elements(map.name, &elements, add));
        }
    }
    messages
}

/// The elements of one map.
fn of(ports: &[Translation], family: Family, map: Reference) -> impl Iterator<Item = Element> {
    let here = move |port: &&Translation| port.family() == family && port.map().id == map.id;
    ports.iter().filter(here).map(Translation::element)
}

fn content(table: Table<'_>) -> Vec<Message> {
    let address = match table.family {
        Family::V6 => types::IPV6,
        _ => types::IPV4,
    };
    let width = width(table.family);
    // Next to others each part takes whole registers.
    let (protocol, port) = ((types::PROTOCOL, 4), (types::PORT, 4));
    let map = |reference, key| {
        table.set(Set {
            reference,
            key,
            data: Some((address << 6 | types::PORT, width + 4)),
            intervals: false,
        })
    };
    let mut messages = vec![
        map(ANY, &[protocol, port]),
        map(ADDRESS, &[(address, width), protocol, port]),
    ];
    messages.extend(table.chains(chains(table.family)));
    messages
}

fn chains(family: Family) -> Vec<Chain> {
    let translate = |rule: Rule| rule.destination(family, REGISTER, REGISTER + width(family) / 4);
    let to_any = || {
        Rule::default()
            .for_this_host()
            .meta(REGISTER, Meta::Transport)
            .transport(REGISTER + 1, 2, 2)
            .translate(ANY)
    };
    let translations = || {
        vec![
            translate(to_address(Rule::default(), family)),
            translate(to_any()),
        ]
    };
    let (mut output, mut guard, mut postrouting) = (translations(), Vec::new(), Vec::new());
    let mut prerouting = translations();
    prerouting.insert(0, Rule::default().group(link::APART).accept());
    if family == Family::V6 {
        let loopback = Ipv6Addr::LOCALHOST.octets().to_vec();
        let local = Rule::default()
            .network(REGISTER, 24, 16)
            .compare(REGISTER, EQUAL, loopback);
        output.insert(0, local.accept());
    } else {
        let localhost = |offset| Rule::default().localhost(offset);
        let outside = localhost(DESTINATION).interface(Meta::InputName, NOT_EQUAL, "lo");
        guard.push(to_address(outside, family).drop());
        let translated = localhost(SOURCE).conntrack(Conntrack::Status, Conntrack::DNAT);
        postrouting.push(translated.masquerade());
    }
    vec![
        Chain::new("guard", Hook::raw_prerouting(), guard),
        Chain::new(
            "prerouting",
            Hook::destinations(Hook::PREROUTING),
            prerouting,
        ),
        Chain::new("output", Hook::destinations(Hook::OUTPUT), output),
        Chain::new("postrouting", Hook::sources(), postrouting),
    ]
}

const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;

/// How many bytes an address has.
fn width(family: Family) -> u32 {
    match family {
        Family::V6 => 16,
        _ => 4,
    }
}

/// Looks up where this address, transport and port lead.
fn to_address(rule: Rule, family: Family) -> Rule {
    let offset = match family {
        Family::V6 => 24,
        _ => DESTINATION,
    };
    let next = REGISTER + width(family) / 4;
    rule.network(REGISTER, offset, width(family))
        .meta(next, Meta::Transport)
        .transport(next + 1, 2, 2)
        .translate(ADDRESS)
}
