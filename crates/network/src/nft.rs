//! nf_tables messages: tables, chains, rules, sets and maps with their elements. Every change is a batch that holds as a
//! whole or not at all.

mod look;
mod rule;

use std::net::IpAddr;

use sys::netlink::{ACK, APPEND, CREATE, DUMP, Message, Refused, Socket, attribute};

pub(crate) use rule::{Conntrack, Lookup, Meta, Rule};

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u16 = SUBSYSTEM << 8;
const DELTABLE: u16 = SUBSYSTEM << 8 | 2;
const NEWCHAIN: u16 = SUBSYSTEM << 8 | 3;
const GETCHAIN: u16 = SUBSYSTEM << 8 | 4;
const NEWRULE: u16 = SUBSYSTEM << 8 | 6;
const GETRULE: u16 = SUBSYSTEM << 8 | 7;
const NEWSET: u16 = SUBSYSTEM << 8 | 9;
const NEWSETELEM: u16 = SUBSYSTEM << 8 | 0x0c;
const GETSETELEM: u16 = SUBSYSTEM << 8 | 0x0d;
const DELSETELEM: u16 = SUBSYSTEM << 8 | 0x0e;
const GETGEN: u16 = SUBSYSTEM << 8 | 0x10;
const SET_INTERVAL: u32 = 4;
const SET_MAP: u32 = 8;
const SET_CONCATENATION: u32 = 0x80;
const ELEMENT_INTERVAL_END: u32 = 1;
/// An attribute holds 64 KiB; an element of the widest map takes 80 bytes.
const ELEMENTS: usize = 500;

/// The first of the registers of four bytes; the others follow it.
pub(crate) const REGISTER: u32 = 8;
/// An interface's name takes four of them.
pub(crate) const NAME_REGISTERS: u32 = 4;
pub(crate) const EQUAL: u32 = 0;
pub(crate) const NOT_EQUAL: u32 = 1;

/// nft's numbers of types, for those who list a set; the kernel looks at the lengths alone. A concatenation has six bits
/// for each of its parts.
pub(crate) mod types {
    pub(crate) const FAMILY: u32 = 2;
    pub(crate) const IPV4: u32 = 7;
    pub(crate) const IPV6: u32 = 8;
    pub(crate) const PROTOCOL: u32 = 0x0c;
    pub(crate) const PORT: u32 = 0x0d;
    pub(crate) const INTERFACE: u32 = 41;
}

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    /// Those of both versions.
    Inet = 1,
    V4 = 2,
    V6 = 10,
}

impl Family {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    pub(crate) fn number(self) -> u8 {
        self as u8
    }
}

/// Where a chain stands in a packet's way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hook {
    pub(crate) kind: &'static str,
    pub(crate) number: u32,
    pub(crate) priority: i32,
}

impl Hook {
    pub(crate) const PREROUTING: u32 = 0;
    pub(crate) const FORWARD: u32 = 2;
    pub(crate) const OUTPUT: u32 = 3;
    pub(crate) const POSTROUTING: u32 = 4;

    pub(crate) const RAW: i32 = -300;
    pub(crate) const DSTNAT: i32 = -100;
    pub(crate) const FILTER: i32 = 0;
    pub(crate) const SRCNAT: i32 = 100;

    /// Filters where packets come in, before connections are tracked.
    pub(crate) const fn raw_prerouting() -> Self {
        Self::new("filter", Self::PREROUTING, Self::RAW)
    }

    /// Filters what the host forwards.
    pub(crate) const fn forward() -> Self {
        Self::new("filter", Self::FORWARD, Self::FILTER)
    }

    /// Translates destinations; `number` is `PREROUTING` or `OUTPUT`.
    pub(crate) const fn destinations(number: u32) -> Self {
        Self::new("nat", number, Self::DSTNAT)
    }

    /// Translates sources.
    pub(crate) const fn sources() -> Self {
        Self::new("nat", Self::POSTROUTING, Self::SRCNAT)
    }

    const fn new(kind: &'static str, number: u32, priority: i32) -> Self {
        Self {
            kind,
            number,
            priority,
        }
    }
}

/// A chain of a table.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    pub(crate) hook: Hook,
    pub(crate) rules: Vec<Rule>,
}

impl Chain {
    pub(crate) fn new(name: &'static str, hook: Hook, rules: Vec<Rule>) -> Self {
        Self { name, hook, rules }
    }
}

/// Carries out messages about tables as one change.
pub(crate) fn change(
    socket: &Socket,
    messages: impl IntoIterator<Item = Message>,
) -> Result<(), Refused> {
    let mark = |kind| Message::new(kind, 0).raw(&header(0, SUBSYSTEM));
    let mut batch = vec![mark(BATCH_BEGIN)];
    batch.extend(messages);
    batch.push(mark(BATCH_END));
    socket.transact(&batch)
}

fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

/// Counts the changes of all tables of this network namespace, by whomever.
pub(crate) fn generation(socket: &Socket) -> Result<Option<u32>, Refused> {
    let found = socket.query(&Message::new(GETGEN, 0).raw(&header(0, 0)))?;
    let number = found
        .first()
        .and_then(|payload| attribute(payload.get(4..)?, 1)?.try_into().ok())
        .map(u32::from_be_bytes);
    Ok(number)
}

/// Chains of others that drop what is forwarded unless their rules say otherwise (Docker's, most firewalls').
/// A packet must pass every table: ours cannot overrule them.
pub(crate) fn dropping_chains(socket: &Socket) -> Result<Vec<String>, Refused> {
    let request = Message::new(GETCHAIN, DUMP).raw(&header(0, 0));
    let found = socket.query(&request)?;
    Ok(found
        .iter()
        .filter_map(|payload| dropping_chain(payload))
        .collect())
}

fn dropping_chain(payload: &[u8]) -> Option<String> {
    let (header, facts) = payload.split_at_checked(4)?;
    let text = |kind| {
        let text = String::from_utf8_lossy(attribute(facts, kind)?).into_owned();
        Some(text.trim_end_matches('\0').to_owned())
    };
    let family = match *header.first()? {
        1 => "inet",
        2 => "ip",
        10 => "ip6",
        _ => return None,
    };
    let (table, chain) = (text(1)?, text(3)?);
    let forwards = attribute(attribute(facts, 4)?, 1)? == Hook::FORWARD.to_be_bytes();
    // firewalld's policy is to accept, and its last rule to reject.
    let drops = attribute(facts, 5)? == rule::DROP.to_be_bytes() || table == "firewalld";
    (forwards && drops).then(|| format!("{chain} of table {family} {table}"))
}

/// A table of ours, by family and name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a> {
    pub(crate) family: Family,
    pub(crate) name: &'a str,
}

impl Table<'_> {
    fn message(self, kind: u16, flags: u16) -> Message {
        Message::new(kind, ACK | flags)
            .raw(&header(self.family.number(), 0))
            .string(1, self.name)
    }

    /// Makes the table, if there is none.
    pub(crate) fn create(self) -> Message {
        self.message(NEWTABLE, CREATE)
            .attribute(2, &0_u32.to_be_bytes())
    }

    /// Deletes the table with all that is in it.
    pub(crate) fn delete(self) -> Message {
        self.message(DELTABLE, 0)
    }

    /// An empty table, whatever there was.
    pub(crate) fn renew(self) -> [Message; 3] {
        [self.create(), self.delete(), self.create()]
    }

    /// No table, whatever there was.
    pub(crate) fn clear(self) -> [Message; 2] {
        [self.create(), self.delete()]
    }

    /// Chains with their rules, which accept what these let pass.
    pub(crate) fn chains(self, chains: impl IntoIterator<Item = Chain>) -> Vec<Message> {
        let made = |chain: Chain| {
            let empty = self
                .message(NEWCHAIN, CREATE)
                .string(3, chain.name)
                .nest(4, |m| {
                    m.attribute(1, &chain.hook.number.to_be_bytes())
                        .attribute(2, &chain.hook.priority.to_be_bytes())
                })
                .attribute(5, &rule::ACCEPT.to_be_bytes())
                .string(7, chain.hook.kind);
            let rules = chain.rules.into_iter().map(move |rule| {
                let message = self.message(NEWRULE, CREATE | APPEND);
                rule.append_to(message.string(2, chain.name))
            });
            std::iter::once(empty).chain(rules)
        };
        chains.into_iter().flat_map(made).collect()
    }

    /// An empty set or map.
    pub(crate) fn set(self, set: Set) -> Message {
        let number = |m: Message, kind, value: u32| m.attribute(kind, &value.to_be_bytes());
        let width: u32 = set.key.iter().map(|(_, width)| width).sum();
        let kind = set.key.iter().fold(0, |all, (kind, _)| all << 6 | kind);
        let concatenated = set.intervals && set.key.len() > 1;
        let flags = [
            (set.intervals, SET_INTERVAL),
            (concatenated, SET_CONCATENATION),
            (set.data.is_some(), SET_MAP),
        ]
        .into_iter()
        .fold(0, |all, (has, flag)| if has { all | flag } else { all });
        let m = self.message(NEWSET, CREATE).string(2, set.reference.name);
        let m = [(3, flags), (4, kind), (5, width), (10, set.reference.id)]
            .into_iter()
            .fold(m, |m, (kind, value)| number(m, kind, value));
        let m = match set.data {
            Some((kind, width)) => number(number(m, 6, kind), 7, width),
            None => m,
        };
        if !concatenated {
            return m;
        }
        // Where each part of the key ends, of those whose parts are looked at one by one.
        m.nest(9, |m| {
            m.nest(2, |m| {
                set.key.iter().fold(m, |m, (_, width)| {
                    m.nest(1, |m| m.attribute(1, &width.to_be_bytes()))
                })
            })
        })
    }

    /// Puts elements into a set or a map, or takes them out of it.
    pub(crate) fn elements(self, set: &str, elements: &[Element], add: bool) -> Vec<Message> {
        let (kind, flags) = if add {
            (NEWSETELEM, CREATE)
        } else {
            (DELSETELEM, 0)
        };
        let message = |part: &[Element]| {
            self.message(kind, flags).string(2, set).nest(3, |m| {
                part.iter()
                    .fold(m, |m, element| m.nest(1, |m| element.append_to(m, add)))
            })
        };
        elements.chunks(ELEMENTS).map(message).collect()
    }
}

/// What names a set or a map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    pub(crate) name: &'static str,
    /// Names it inside the batch that makes it.
    pub(crate) id: u32,
}

/// How a set or a map is made: its parts by type and width in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Set<'a> {
    pub(crate) reference: Reference,
    pub(crate) key: &'a [(u32, u32)],
    /// What is under a key, of a map.
    pub(crate) data: Option<(u32, u32)>,
    /// Its elements are ranges.
    pub(crate) intervals: bool,
}

/// One entry of a set or a map.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Element {
    pub(crate) key: Vec<u8>,
    /// The last key of its range, in a set with several parts.
    pub(crate) last: Option<Vec<u8>>,
    /// It is the first key after a range, in a set with one part.
    pub(crate) after: bool,
    /// What is under the key, in a map.
    pub(crate) data: Option<Vec<u8>>,
}

impl Element {
    fn append_to(&self, m: Message, with_data: bool) -> Message {
        let value = |m: Message, kind, bytes: &[u8]| m.nest(kind, |m| m.attribute(1, bytes));
        let m = value(m, 1, &self.key);
        let m = match &self.data {
            Some(data) if with_data => value(m, 2, data),
            _ => m,
        };
        let m = if self.after {
            m.attribute(3, &ELEMENT_INTERVAL_END.to_be_bytes())
        } else {
            m
        };
        match &self.last {
            Some(last) => value(m, 10, last),
            None => m,
        }
    }
}

/// An interface's name as wide as the kernel's.
pub(crate) fn padded(interface: &str) -> Vec<u8> {
    let mut name = interface.as_bytes().to_vec();
    name.resize(16, 0);
    name
}
