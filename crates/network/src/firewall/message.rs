//! Tables, chains and rules as netlink messages.

use super::set::Set;
use super::{
    ACK, APPEND, CREATE, DELTABLE, FAMILY_INET, Message, NEWCHAIN, NEWRULE, NEWTABLE, SUBSYSTEM,
};

const REGISTER_VERDICT: u32 = 0;
/// The first of the registers of four bytes; the others follow it.
const REGISTER: u32 = 8;
/// An interface's name takes four of them.
const NAME_REGISTERS: u32 = 4;

pub(super) const DROP: u32 = 0;
pub(super) const ACCEPT: u32 = 1;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
/// How a lookup is meant.
pub(super) const IN: u32 = 0;
pub(super) const NOT_IN: u32 = 1;
const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_NFPROTO: u32 = 15;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
pub(super) const CT_STATE: u32 = 0;
pub(super) const CT_STATUS: u32 = 2;

pub(super) fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

pub(super) fn batch_mark(kind: u16) -> Message {
    Message::new(kind, 0).raw(&header(0, SUBSYSTEM))
}

pub(super) fn new_table(family: u8, name: &str) -> Message {
    Message::new(NEWTABLE, ACK | CREATE)
        .raw(&header(family, 0))
        .string(1, name)
        .attribute(2, &0_u32.to_be_bytes())
}

pub(super) fn delete_table(family: u8, name: &str) -> Message {
    Message::new(DELTABLE, ACK)
        .raw(&header(family, 0))
        .string(1, name)
}

/// A chain that accepts what its rules let pass.
pub(super) fn chain(table: &str, name: &str, kind: &str, hook: u32, priority: i32) -> Message {
    Message::new(NEWCHAIN, ACK | CREATE)
        .raw(&header(FAMILY_INET, 0))
        .string(1, table)
        .string(3, name)
        .nest(4, |m| {
            m.attribute(1, &hook.to_be_bytes())
                .attribute(2, &priority.to_be_bytes())
        })
        .attribute(5, &ACCEPT.to_be_bytes())
        .string(7, kind)
}

/// A rule at the end of a chain.
pub(super) fn rule(table: &str, chain: &str, rule: Rule) -> Message {
    Message::new(NEWRULE, ACK | CREATE | APPEND)
        .raw(&header(FAMILY_INET, 0))
        .string(1, table)
        .string(2, chain)
        .nest(4, |m| {
            rule.expressions.into_iter().fold(m, |m, expression| {
                m.nest(1, |m| {
                    let m = m.string(1, expression.name);
                    m.nest(2, |m| {
                        expression.values.iter().fold(m, |m, value| value.append(m))
                    })
                })
            })
        })
}

/// Whose address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Source,
    Destination,
}

/// A rule: expressions that each look at the packet, the last of which decides.
#[derive(Debug, Default)]
pub(super) struct Rule {
    expressions: Vec<Expression>,
}

#[derive(Debug)]
struct Expression {
    name: &'static str,
    values: Vec<Value>,
}

/// One attribute of an expression.
#[derive(Debug)]
enum Value {
    Number(u16, u32),
    Text(u16, &'static str),
    Data(u16, Vec<u8>),
    Verdict(u16, u32),
}

impl Value {
    fn append(&self, m: Message) -> Message {
        match self {
            Self::Number(kind, number) => m.attribute(*kind, &number.to_be_bytes()),
            Self::Text(kind, text) => m.string(*kind, text),
            Self::Data(kind, bytes) => m.nest(*kind, |m| m.attribute(1, bytes)),
            Self::Verdict(kind, code) => m.nest(*kind, |m| {
                m.nest(2, |m| m.attribute(1, &code.to_be_bytes()))
            }),
        }
    }
}

use Value::{Data, Number, Text, Verdict};

impl Rule {
    fn push(mut self, name: &'static str, values: Vec<Value>) -> Self {
        self.expressions.push(Expression { name, values });
        self
    }

    fn meta(self, register: u32, key: u32) -> Self {
        self.push("meta", vec![Number(1, register), Number(2, key)])
    }

    fn lookup(self, how: u32, set: Set) -> Self {
        let values = vec![
            Text(1, set.name),
            Number(2, REGISTER),
            Number(4, set.id),
            Number(5, how),
        ];
        self.push("lookup", values)
    }

    /// The interface it came in by is in the set, or is not.
    pub(super) fn input(self, how: u32, set: Set) -> Self {
        self.meta(REGISTER, META_IIFNAME).lookup(how, set)
    }

    /// It stays within the host.
    pub(super) fn loopback(self) -> Self {
        let mut name = b"lo".to_vec();
        name.resize(16, 0);
        self.meta(REGISTER, META_IIFNAME).compare(EQUAL, name)
    }

    /// The interface it goes out by is in the set, or is not.
    pub(super) fn output(self, how: u32, set: Set) -> Self {
        self.meta(REGISTER, META_OIFNAME).lookup(how, set)
    }

    /// The pair of both interfaces is in the set.
    pub(super) fn both(self, set: Set) -> Self {
        self.meta(REGISTER, META_IIFNAME)
            .meta(REGISTER + NAME_REGISTERS, META_OIFNAME)
            .lookup(IN, set)
    }

    /// The address is in one of the set's subnets; the set says of which family.
    pub(super) fn address(self, set: Set, direction: Direction) -> Self {
        let (family, offset, length) = match (set.is_ipv6(), direction) {
            (false, Direction::Source) => (NFPROTO_IPV4, 12, 4),
            (false, Direction::Destination) => (NFPROTO_IPV4, 16, 4),
            (true, Direction::Source) => (NFPROTO_IPV6, 8, 16),
            (true, Direction::Destination) => (NFPROTO_IPV6, 24, 16),
        };
        self.meta(REGISTER, META_NFPROTO)
            .compare(EQUAL, vec![family])
            .push(
                "payload",
                vec![
                    Number(1, REGISTER),
                    Number(2, 1),
                    Number(3, offset),
                    Number(4, length),
                ],
            )
            .lookup(IN, set)
    }

    /// The address is one of 127.0.0.0/8.
    pub(super) fn localhost(self, direction: Direction) -> Self {
        let offset = match direction {
            Direction::Source => 12,
            Direction::Destination => 16,
        };
        self.meta(REGISTER, META_NFPROTO)
            .compare(EQUAL, vec![NFPROTO_IPV4])
            .push(
                "payload",
                vec![
                    Number(1, REGISTER),
                    Number(2, 1),
                    Number(3, offset),
                    Number(4, 1),
                ],
            )
            .compare(EQUAL, vec![127])
    }

    /// One of these bits is set in the connection's state or status.
    pub(super) fn conntrack(self, key: u32, bits: u32) -> Self {
        self.push("ct", vec![Number(1, REGISTER), Number(2, key)])
            .push(
                "bitwise",
                vec![
                    Number(1, REGISTER),
                    Number(2, REGISTER),
                    Number(3, 4),
                    Data(4, bits.to_ne_bytes().to_vec()),
                    Data(5, vec![0; 4]),
                ],
            )
            .compare(NOT_EQUAL, vec![0; 4])
    }

    fn compare(self, operator: u32, value: Vec<u8>) -> Self {
        self.push(
            "cmp",
            vec![Number(1, REGISTER), Number(2, operator), Data(3, value)],
        )
    }

    pub(super) fn verdict(self, code: u32) -> Self {
        self.push(
            "immediate",
            vec![Number(1, REGISTER_VERDICT), Verdict(2, code)],
        )
    }

    pub(super) fn masquerade(self) -> Self {
        self.push("masq", Vec::new())
    }
}
