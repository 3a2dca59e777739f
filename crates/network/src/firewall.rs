//! One nftables table a daemon, replaced as a whole in one atomic batch whenever a network comes or goes.
//!
//! ```text
//! table inet <default bridge> {
//!   set bridges  { type ifname }              ours
//!   set closed   { type ifname }              internal ones: no way in or out
//!   set open     { type ifname . nf_proto }   any neighbour may come in (gateway mode nat-unprotected)
//!   set routed   { type ifname . nf_proto }   neighbours may come to what is published (gateway mode routed)
//!   set within   { type ifname . ifname }     (b, b): members of b may talk to one another
//!   set guard4   { type ipv4_addr; flags interval }    subnets that nobody reaches from outside by their own addresses
//!   set nat4     { type ipv4_addr; flags interval }    subnets behind the host's address
//!   set home4    { type ifname . ipv4_addr; flags interval }    a bridge with its own subnets; guard6, nat6, home6 alike
//!   set published4 { type ipv4_addr . inet_proto . inet_service }    what is published on routed networks; published6 alike
//!   chain raw-prerouting { type filter hook prerouting priority raw;
//!     iifname "lo" accept                              the host to its own address on a bridge
//!     ip daddr 127.0.0.0/8 iifname @bridges drop       containers do not reach the host's localhost,
//!     ip saddr 127.0.0.0/8 iifname @bridges drop       though route_localnet lets its published ports reach them
//!     iifname @bridges accept
//!     ip daddr @guard4 drop                            ip6 daddr @guard6 drop
//!   }
//!   chain forward { type filter hook forward priority filter; policy accept;
//!     iifname . oifname @within accept
//!     iifname @closed drop
//!     oifname != @bridges accept                       to outside
//!     oifname @closed drop
//!     ct state established,related accept
//!     ct status dnat accept                            published ports
//!     iifname != @bridges oifname . meta nfproto @open accept
//!     oifname . meta nfproto @routed meta l4proto icmp accept         oifname . meta nfproto @routed meta l4proto ipv6-icmp accept
//!     ip daddr . meta l4proto . th dport @published4 accept           ip6 daddr . meta l4proto . th dport @published6 accept
//!     drop                                             from outside, and from one network to another
//!   }
//!   chain postrouting { type nat hook postrouting priority srcnat;
//!     ct status dnat oifname . ip saddr @home4 masquerade      back to the network it came from: answers must come this way
//!     ct status dnat oifname . ip6 saddr @home6 masquerade     (where bridges pass IP filters, packets have no iifname here)
//!     oifname != @bridges ip saddr @nat4 masquerade            oifname != @bridges ip6 saddr @nat6 masquerade
//!   }
//! }
//! ```
//!
//! Nothing here grows with the number of containers but what is published on routed networks, and a packet costs the same
//! with one network as with five hundred. The rules that most packets pass come first and are the cheap ones.
//! Replies to masqueraded traffic pass the first chain: there they are still addressed to the host, translation comes
//! later. The host's own traffic to a container passes neither prerouting nor forward.

mod set;

use std::net::IpAddr;

use ipnet::IpNet;
use netd::protocol::Protocol;
use sys::netlink::{Message, Refused, Socket};

use crate::link::octets;
use crate::nat::service;
use crate::nft::{
    self, Chain, Conntrack, EQUAL, Element, Family, Hook, Lookup, Meta, NAME_REGISTERS, REGISTER,
    Rule, Table,
};
use crate::options::GatewayMode;
use set::{
    BRIDGES, CLOSED, GUARDS, HOMES, NATS, OPEN, PUBLISHED, ROUTED, Range, SETS, Set, WITHIN,
};

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// What the rules have to know of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    /// The interface.
    pub(crate) bridge: String,
    /// Its subnets.
    pub(crate) subnets: Vec<IpNet>,
    /// No way in or out.
    pub(crate) internal: bool,
    /// Its members may talk to one another.
    pub(crate) within: bool,
    /// Behind the host's address on the way out.
    pub(crate) masquerade: bool,
    /// How its IPv4 and its IPv6 subnets are reached.
    pub(crate) modes: [GatewayMode; 2],
}

impl Network {
    fn mode(&self, family: Family) -> GatewayMode {
        self.modes[usize::from(family == Family::V6)]
    }
}

/// A port that is published at a container's own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The container's address, on a network in routed mode.
    pub address: IpAddr,
    /// The transport.
    pub protocol: Protocol,
    /// The container's port.
    pub port: u16,
}

/// Replaces the table by one for these networks.
pub(crate) fn install(
    socket: &Socket,
    table: &str,
    networks: &[Network],
    openings: &[Opening],
) -> Result<(), Refused> {
    let table = ours(table);
    let mut messages = table.renew().to_vec();
    messages.extend(SETS.iter().flat_map(|set| set.messages(table, networks)));
    messages.extend(elements(table, openings, true));
    messages.extend(table.chains(chains()));
    nft::change(socket, messages)
}

/// Closes and opens ports in a table that is there.
pub(crate) fn reopen(
    socket: &Socket,
    table: &str,
    closed: &[Opening],
    opened: &[Opening],
) -> Result<(), Refused> {
    let table = ours(table);
    let mut messages = elements(table, closed, false);
    messages.extend(elements(table, opened, true));
    nft::change(socket, messages)
}

fn elements(table: Table<'_>, openings: &[Opening], add: bool) -> Vec<Message> {
    let messages = |range: Range| {
        let elements: Vec<Element> = published(range, openings).collect();
        table.elements(range.set.reference.name, &elements, add)
    };
    PUBLISHED.into_iter().flat_map(messages).collect()
}

/// The elements of one family.
fn published(range: Range, openings: &[Opening]) -> impl Iterator<Item = Element> {
    let of_family = openings
        .iter()
        .filter(move |one| Family::of(one.address) == range.family);
    of_family.map(|one| Element {
        key: [octets(one.address), service(one.protocol, one.port)].concat(),
        ..Element::default()
    })
}

/// Removes the table that the earlier build made for its one bridge.
pub(crate) fn remove_earlier(socket: &Socket, bridge: &str) -> Result<(), Refused> {
    let table = Table {
        family: Family::V4,
        name: bridge,
    };
    nft::change(socket, table.clear())
}

/// Removes the table; one that does not exist is removed already.
pub(crate) fn remove(socket: &Socket, table: &str) -> Result<(), Refused> {
    nft::change(socket, ours(table).clear())
}

/// Whether the table is there with all its rules, and its sets have these networks and openings and nothing else.
pub(crate) fn is_installed(
    socket: &Socket,
    table: &str,
    networks: &[Network],
    openings: &[Opening],
) -> Result<bool, Refused> {
    let table = ours(table);
    if !table.has(socket, &chains())? {
        return Ok(false);
    }
    for set in SETS {
        let is_this = |range: &Range| range.set.reference.id == set.reference.id;
        let range = PUBLISHED.into_iter().find(is_this);
        let openings = range
            .into_iter()
            .flat_map(|range| published(range, openings));
        let elements = set.elements(networks).chain(openings);
        if !table.holds(socket, set.reference.name, elements)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn ours(name: &str) -> Table<'_> {
    Table {
        family: Family::Inet,
        name,
    }
}

fn chains() -> [Chain; 3] {
    [
        Chain::new("raw-prerouting", Hook::raw_prerouting(), raw_prerouting()),
        Chain::new("forward", Hook::forward(), forward()),
        Chain::new("postrouting", Hook::sources(), postrouting()),
    ]
}

fn raw_prerouting() -> Vec<Rule> {
    let localhost = |end: End| {
        Rule::default()
            .of(Family::V4)
            .localhost(end.offset(Family::V4))
            .meta(REGISTER, Meta::InputName)
            .member(Lookup::In, BRIDGES.reference)
    };
    let mut rules = vec![
        Rule::default()
            .interface(Meta::InputName, EQUAL, "lo")
            .accept(),
        localhost(End::Destination).drop(),
        localhost(End::Source).drop(),
        from(Lookup::In, BRIDGES).accept(),
    ];
    rules.extend(GUARDS.map(|guard| {
        address(Rule::default(), REGISTER, guard, End::Destination)
            .member(Lookup::In, guard.set.reference)
            .drop()
    }));
    rules
}

fn forward() -> Vec<Rule> {
    let mut rules = vec![
        Rule::default()
            .meta(REGISTER, Meta::InputName)
            .meta(REGISTER + NAME_REGISTERS, Meta::OutputName)
            .member(Lookup::In, WITHIN.reference)
            .accept(),
        from(Lookup::In, CLOSED).drop(),
        to(Lookup::NotIn, BRIDGES).accept(),
        to(Lookup::In, CLOSED).drop(),
        Rule::default()
            .conntrack(Conntrack::State, Conntrack::ESTABLISHED_OR_RELATED)
            .accept(),
        Rule::default()
            .conntrack(Conntrack::Status, Conntrack::DNAT)
            .accept(),
        from(Lookup::NotIn, BRIDGES)
            .meta(REGISTER, Meta::OutputName)
            .meta(REGISTER + NAME_REGISTERS, Meta::Family)
            .member(Lookup::In, OPEN.reference)
            .accept(),
    ];
    rules.extend([ICMP, ICMPV6].map(|icmp| {
        Rule::default()
            .meta(REGISTER, Meta::OutputName)
            .meta(REGISTER + NAME_REGISTERS, Meta::Family)
            .member(Lookup::In, ROUTED.reference)
            .meta(REGISTER, Meta::Transport)
            .compare(REGISTER, EQUAL, vec![icmp])
            .accept()
    }));
    rules.extend(PUBLISHED.map(|published| {
        let next = REGISTER + published.width() / 4;
        address(Rule::default(), REGISTER, published, End::Destination)
            .meta(next, Meta::Transport)
            .transport(next + 1, 2, 2)
            .member(Lookup::In, published.set.reference)
            .accept()
    }));
    rules.push(Rule::default().drop());
    rules
}

fn postrouting() -> Vec<Rule> {
    let back = |home: Range| {
        let translated = Rule::default().conntrack(Conntrack::Status, Conntrack::DNAT);
        address(translated, REGISTER + NAME_REGISTERS, home, End::Source)
            .meta(REGISTER, Meta::OutputName)
            .member(Lookup::In, home.set.reference)
            .masquerade()
    };
    let away = |nat: Range| {
        address(to(Lookup::NotIn, BRIDGES), REGISTER, nat, End::Source)
            .member(Lookup::In, nat.set.reference)
            .masquerade()
    };
    HOMES.map(back).into_iter().chain(NATS.map(away)).collect()
}

/// Whose address.
#[derive(Clone, Copy, Debug)]
enum End {
    Source,
    Destination,
}

impl End {
    /// Where it stands in a header.
    fn offset(self, family: Family) -> u32 {
        match (family, self) {
            (Family::V6, Self::Source) => 8,
            (Family::V6, Self::Destination) => 24,
            (_, Self::Source) => 12,
            (_, Self::Destination) => 16,
        }
    }
}

/// Goes on if the interface that the packet came in by is in the set, or is not.
fn from(how: Lookup, set: Set) -> Rule {
    Rule::default()
        .meta(REGISTER, Meta::InputName)
        .member(how, set.reference)
}

/// Goes on if the interface that the packet goes out by is in the set, or is not.
fn to(how: Lookup, set: Set) -> Rule {
    Rule::default()
        .meta(REGISTER, Meta::OutputName)
        .member(how, set.reference)
}

/// Puts an address of the family of these subnets into registers.
fn address(rule: Rule, register: u32, range: Range, end: End) -> Rule {
    rule.of(range.family)
        .network(register, end.offset(range.family), range.width())
}
