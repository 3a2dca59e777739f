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

use std::net::IpAddr;

use netd::protocol::Protocol;
use sys::netlink::{Message, Refused, Socket};

use crate::nft::{self, EQUAL, Element, Family, Hook, Meta, NOT_EQUAL, REGISTER, Rule, Table};

const PREROUTING: u32 = 0;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;
const RAW: i32 = -300;
const DSTNAT: i32 = -100;
const SRCNAT: i32 = 100;

const ANY: &str = "any";
const ADDRESS: &str = "address";
const ANY_ID: u32 = 1;
const ADDRESS_ID: u32 = 2;

/// nft's numbers of types; a concatenation has six bits for each.
const IPV4: u32 = 7;
const IPV6: u32 = 8;
const PORT: u32 = 0x0d;
const PROTOCOL_AND_PORT: u32 = 0x0c << 6 | PORT;

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
        match self.target {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    fn map(&self) -> &'static str {
        if self.host.is_unspecified() {
            ANY
        } else {
            ADDRESS
        }
    }

    /// Every part of a key and of a value takes whole registers of four bytes.
    fn element(&self) -> Element {
        let number = match self.protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        };
        let mut key = if self.host.is_unspecified() {
            Vec::new()
        } else {
            octets(self.host)
        };
        key.extend([number, 0, 0, 0]);
        key.extend(padded(self.port));
        let mut data = octets(self.target);
        data.extend(padded(self.target_port));
        Element { key, data }
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
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
            messages.extend([table.create(), table.delete()]);
        }
    }
    messages.extend(elements(name, ports, true));
    nft::change(socket, messages)
}

/// Whether the tables of these families have all their rules.
pub(crate) fn are_whole(
    socket: &Socket,
    name: &str,
    families: impl IntoIterator<Item = Family>,
) -> Result<bool, Refused> {
    for family in families {
        let rules = Table { family, name }.rules(socket)?;
        let complete = match family {
            Family::V4 => 6,
            Family::V6 => 5,
        };
        if rules != complete {
            return Ok(false);
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
            let elements: Vec<Element> = ports
                .iter()
                .filter(|port| port.family() == family && port.map() == map)
                .map(Translation::element)
                .collect();
            messages.extend(Table { family, name }.elements(map, &elements, add));
        }
    }
    messages
}

fn content(table: Table<'_>) -> Vec<Message> {
    let (width, kind) = match table.family {
        Family::V4 => (4, IPV4),
        Family::V6 => (16, IPV6),
    };
    let data = (kind << 6 | PORT, width + 4);
    let address_key = (kind << 12 | PROTOCOL_AND_PORT, width + 8);
    let hook = |kind, number, priority| Hook {
        kind,
        number,
        priority,
    };
    let mut messages = vec![
        table.map(ANY, ANY_ID, (PROTOCOL_AND_PORT, 8), data),
        table.map(ADDRESS, ADDRESS_ID, address_key, data),
        table.chain("guard", hook("filter", PREROUTING, RAW)),
        table.chain("prerouting", hook("nat", PREROUTING, DSTNAT)),
        table.chain("output", hook("nat", OUTPUT, DSTNAT)),
        table.chain("postrouting", hook("nat", POSTROUTING, SRCNAT)),
    ];
    let mut rule = |chain, rule| messages.push(table.rule(chain, rule));
    if table.family == Family::V4 {
        let guard =
            localhost(Rule::default(), DESTINATION).interface(Meta::InputName, NOT_EQUAL, "lo");
        rule("guard", address(guard, table.family).drop());
        rule(
            "postrouting",
            localhost(Rule::default(), SOURCE).translated().masquerade(),
        );
    } else {
        let mut loopback = vec![0; 16];
        loopback[15] = 1;
        rule(
            "output",
            Rule::default()
                .network(REGISTER, 24, 16)
                .compare(REGISTER, EQUAL, loopback)
                .accept(),
        );
    }
    for chain in ["prerouting", "output"] {
        let translate = |rule: Rule| rule.destination(table.family, REGISTER, REGISTER + width / 4);
        rule(chain, translate(address(Rule::default(), table.family)));
        let any = Rule::default()
            .for_this_host()
            .meta(REGISTER, Meta::Transport)
            .transport(REGISTER + 1, 2, 2)
            .look_up(ANY, ANY_ID);
        rule(chain, translate(any));
    }
    messages
}

const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;

/// 127.0.0.0/8, at this offset of an IPv4 header.
fn localhost(rule: Rule, offset: u32) -> Rule {
    rule.network(REGISTER, offset, 1)
        .compare(REGISTER, EQUAL, vec![127])
}

/// Looks up where this address, transport and port lead.
fn address(rule: Rule, family: Family) -> Rule {
    let (offset, width) = match family {
        Family::V4 => (DESTINATION, 4),
        Family::V6 => (24, 16),
    };
    let next = REGISTER + width / 4;
    rule.network(REGISTER, offset, width)
        .meta(next, Meta::Transport)
        .transport(next + 1, 2, 2)
        .look_up(ADDRESS, ADDRESS_ID)
}
