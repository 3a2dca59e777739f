//! One nftables table a daemon, replaced as a whole in one atomic batch whenever a network comes or goes.
//!
//! ```text
//! table inet <default bridge> {
//!   set bridges  { type ifname }              ours
//!   set closed   { type ifname }              internal ones: no way in or out
//!   set open     { type ifname }              any neighbour may come in (gateway mode nat-unprotected)
//!   set within   { type ifname . ifname }     (b, b): members of b may talk to one another
//!   set guard4   { type ipv4_addr; flags interval }    subnets that nobody reaches from outside by their own addresses
//!   set nat4     { type ipv4_addr; flags interval }    subnets behind the host's address; guard6 and nat6 alike
//!   chain raw-prerouting { type filter hook prerouting priority raw;
//!     iifname "lo" accept                              the host to its own address on a bridge
//!     iifname != @bridges ip daddr @guard4 drop        iifname != @bridges ip6 daddr @guard6 drop
//!     iifname @bridges ip daddr 127.0.0.0/8 drop       containers do not reach the host's localhost,
//!     iifname @bridges ip saddr 127.0.0.0/8 drop       though route_localnet lets its published ports reach them
//!   }
//!   chain forward { type filter hook forward priority filter; policy accept;
//!     iifname . oifname @within accept
//!     iifname @closed drop       oifname @closed drop
//!     oifname @bridges ct state established,related accept
//!     oifname @bridges ct status dnat accept           published ports
//!     iifname != @bridges oifname @open accept
//!     oifname @bridges drop                            from outside, and from one network to another
//!   }
//!   chain postrouting { type nat hook postrouting priority srcnat;
//!     iifname . oifname @within ct status dnat masquerade      back to the network it came from: answers must come this way
//!     oifname != @bridges ip saddr @nat4 masquerade            oifname != @bridges ip6 saddr @nat6 masquerade
//!   }
//! }
//! ```
//!
//! Nothing here grows with the number of containers, and a packet costs the same with one network as with five hundred.
//! Replies to masqueraded traffic pass the first chain: there they are still addressed to the host, translation comes
//! later. The host's own traffic to a container passes neither prerouting nor forward.

mod message;
mod set;

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use sys::netlink::{ACK, APPEND, CREATE, DUMP, Message, Protocol, Refused, Socket, attributes};

use message::{
    ACCEPT, CT_STATE, CT_STATUS, DROP, Direction, IN, NOT_IN, Rule, batch_mark, chain,
    delete_table, header, new_table, rule,
};
use set::{BRIDGES, CLOSED, GUARD4, GUARD6, NAT4, NAT6, OPEN, SETS, WITHIN};

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u16 = SUBSYSTEM << 8;
const DELTABLE: u16 = SUBSYSTEM << 8 | 2;
const NEWCHAIN: u16 = SUBSYSTEM << 8 | 3;
const GETCHAIN: u16 = SUBSYSTEM << 8 | 4;
const NEWRULE: u16 = SUBSYSTEM << 8 | 6;
const NEWSET: u16 = SUBSYSTEM << 8 | 9;
const NEWSETELEM: u16 = SUBSYSTEM << 8 | 0x0c;
const FAMILY_INET: u8 = 1;
const FAMILY_IPV4: u8 = 2;

const PREROUTING: u32 = 0;
const FORWARD: u32 = 2;
const POSTROUTING: u32 = 4;
const PRIORITY_RAW: i32 = -300;
const PRIORITY_FILTER: i32 = 0;
const PRIORITY_SRCNAT: i32 = 100;

const STATE_ESTABLISHED_RELATED: u32 = 2 | 4;
const STATUS_DNAT: u32 = 1 << 5;

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
    /// Neighbours may come in by the containers' own addresses.
    pub(crate) open: bool,
}

/// Opens the socket that all the rest is given. It is to be kept: closing one after a table was replaced waits for the
/// kernel to free the old one, ten milliseconds and more (`nft_rcv_nl_event`).
pub(crate) fn open() -> io::Result<Socket> {
    Socket::open(Protocol::Netfilter)
}

/// Replaces the table by one for these networks.
pub(crate) fn install(socket: &Socket, table: &str, networks: &[Network]) -> Result<(), Refused> {
    let mut batch = vec![
        batch_mark(BATCH_BEGIN),
        new_table(FAMILY_INET, table),
        delete_table(FAMILY_INET, table),
        new_table(FAMILY_INET, table),
    ];
    batch.extend(SETS.iter().flat_map(|set| set.messages(table, networks)));
    for (name, kind, hook, priority, rules) in [
        (
            "raw-prerouting",
            "filter",
            PREROUTING,
            PRIORITY_RAW,
            raw_prerouting(),
        ),
        ("forward", "filter", FORWARD, PRIORITY_FILTER, forward()),
        (
            "postrouting",
            "nat",
            POSTROUTING,
            PRIORITY_SRCNAT,
            postrouting(),
        ),
    ] {
        batch.push(chain(table, name, kind, hook, priority));
        batch.extend(rules.into_iter().map(|one| rule(table, name, one)));
    }
    batch.push(batch_mark(BATCH_END));
    socket.transact(&batch)
}

/// Removes the table that the earlier build made for its one bridge.
pub(crate) fn remove_earlier(socket: &Socket, bridge: &str) -> Result<(), Refused> {
    remove_of(socket, FAMILY_IPV4, bridge)
}

/// Removes the table; one that does not exist is removed already.
pub(crate) fn remove(socket: &Socket, table: &str) -> Result<(), Refused> {
    remove_of(socket, FAMILY_INET, table)
}

fn remove_of(socket: &Socket, family: u8, table: &str) -> Result<(), Refused> {
    socket.transact(&[
        batch_mark(BATCH_BEGIN),
        new_table(family, table),
        delete_table(family, table),
        batch_mark(BATCH_END),
    ])
}

/// Whether the table is there with its last chain.
pub(crate) fn is_installed(socket: &Socket, table: &str) -> Result<bool, Refused> {
    let request = Message::new(GETCHAIN, 0)
        .raw(&header(FAMILY_INET, 0))
        .string(1, table)
        .string(3, "postrouting");
    match socket.query(&request) {
        Ok(found) => Ok(!found.is_empty()),
        Err(refused) if refused.missing() => Ok(false),
        Err(refused) => Err(refused),
    }
}

/// Chains of others that drop what is forwarded unless their rules say otherwise (Docker's, most firewalls').
/// A packet must pass every table: ours cannot overrule them.
pub(crate) fn dropping_chains(socket: &Socket) -> Result<Vec<String>, Refused> {
    let request = Message::new(GETCHAIN, DUMP).raw(&header(FAMILY_IPV4, 0));
    let found = socket.query(&request)?;
    Ok(found
        .iter()
        .filter_map(|payload| dropping_chain(payload))
        .collect())
}

fn dropping_chain(payload: &[u8]) -> Option<String> {
    let find = |bytes, wanted| {
        attributes(bytes)
            .find(|(kind, _)| *kind == wanted)
            .map(|(_, value)| value)
    };
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .trim_end_matches('\0')
            .to_owned()
    };
    let payload = payload.get(4..)?;
    let forwards = find(find(payload, 4)?, 1)? == FORWARD.to_be_bytes();
    let drops = find(payload, 5)? == DROP.to_be_bytes();
    (forwards && drops).then_some(format!(
        "{} of table {}",
        text(find(payload, 3)?),
        text(find(payload, 1)?)
    ))
}

fn raw_prerouting() -> Vec<Rule> {
    let outside = |set| {
        Rule::default()
            .input(NOT_IN, BRIDGES)
            .address(set, Direction::Destination)
    };
    let localhost = |direction| Rule::default().input(IN, BRIDGES).localhost(direction);
    vec![
        Rule::default().loopback().verdict(ACCEPT),
        outside(GUARD4).verdict(DROP),
        outside(GUARD6).verdict(DROP),
        localhost(Direction::Destination).verdict(DROP),
        localhost(Direction::Source).verdict(DROP),
    ]
}

fn forward() -> Vec<Rule> {
    vec![
        Rule::default().both(WITHIN).verdict(ACCEPT),
        Rule::default().input(IN, CLOSED).verdict(DROP),
        Rule::default().output(IN, CLOSED).verdict(DROP),
        Rule::default()
            .output(IN, BRIDGES)
            .conntrack(CT_STATE, STATE_ESTABLISHED_RELATED)
            .verdict(ACCEPT),
        Rule::default()
            .output(IN, BRIDGES)
            .conntrack(CT_STATUS, STATUS_DNAT)
            .verdict(ACCEPT),
        Rule::default()
            .input(NOT_IN, BRIDGES)
            .output(IN, OPEN)
            .verdict(ACCEPT),
        Rule::default().output(IN, BRIDGES).verdict(DROP),
    ]
}

fn postrouting() -> Vec<Rule> {
    let away = |set| {
        Rule::default()
            .output(NOT_IN, BRIDGES)
            .address(set, Direction::Source)
            .masquerade()
    };
    vec![
        Rule::default()
            .both(WITHIN)
            .conntrack(CT_STATUS, STATUS_DNAT)
            .masquerade(),
        away(NAT4),
        away(NAT6),
    ]
}
