//! Rules: expressions that each look at the packet, the last of which decides.

use sys::netlink::Message;

use super::{EQUAL, Family, NOT_EQUAL, REGISTER, Reference, padded};

const REGISTER_VERDICT: u32 = 0;
pub(super) const DROP: u32 = 0;
pub(super) const ACCEPT: u32 = 1;

/// A rule that is being written.
#[derive(Debug, Default)]
pub(crate) struct Rule {
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

/// A packet's facts that are in none of its headers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meta {
    InputName = 6,
    OutputName = 7,
    Family = 15,
    Transport = 16,
    InputGroup = 21,
}

/// What is known of a packet's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Conntrack {
    State = 0,
    Status = 2,
}

impl Conntrack {
    pub(crate) const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
    /// The destination was translated.
    pub(crate) const DNAT: u32 = 1 << 5;
}

/// How a look into a set is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lookup {
    In = 0,
    NotIn = 1,
}

impl Rule {
    fn push(mut self, name: &'static str, values: Vec<Value>) -> Self {
        self.expressions.push(Expression { name, values });
        self
    }

    pub(super) fn append_to(self, message: Message) -> Message {
        message.nest(4, |m| {
            self.expressions.into_iter().fold(m, |m, expression| {
                m.nest(1, |m| {
                    m.string(1, expression.name).nest(2, |m| {
                        expression.values.iter().fold(m, |m, value| value.append(m))
                    })
                })
            })
        })
    }

    /// Puts a fact into a register.
    pub(crate) fn meta(self, register: u32, key: Meta) -> Self {
        self.push("meta", vec![Number(1, register), Number(2, key as u32)])
    }

    /// Puts a part of the network header into registers.
    pub(crate) fn network(self, register: u32, offset: u32, length: u32) -> Self {
        self.payload(register, 1, offset, length)
    }

    /// Puts a part of the transport header into registers.
    pub(crate) fn transport(self, register: u32, offset: u32, length: u32) -> Self {
        self.payload(register, 2, offset, length)
    }

    fn payload(self, register: u32, base: u32, offset: u32, length: u32) -> Self {
        let values = [register, base, offset, length];
        let numbered = (1..).zip(values);
        self.push(
            "payload",
            numbered.map(|(kind, value)| Number(kind, value)).collect(),
        )
    }

    /// Goes on with packets of one version of IP.
    pub(crate) fn of(self, family: Family) -> Self {
        self.meta(REGISTER, Meta::Family)
            .compare(REGISTER, EQUAL, vec![family.number()])
    }

    /// Goes on if the interface is this one, or is not.
    pub(crate) fn interface(self, key: Meta, operator: u32, name: &str) -> Self {
        self.meta(REGISTER, key)
            .compare(REGISTER, operator, padded(name))
    }

    /// Goes on if the interface that the packet came in by is of this group.
    pub(crate) fn group(self, group: u32) -> Self {
        self.meta(REGISTER, Meta::InputGroup)
            .compare(REGISTER, EQUAL, group.to_ne_bytes().to_vec())
    }

    /// Goes on if the address at this offset of an IPv4 header is one of 127.0.0.0/8.
    pub(crate) fn localhost(self, offset: u32) -> Self {
        self.network(REGISTER, offset, 1)
            .compare(REGISTER, EQUAL, vec![127])
    }

    /// Goes on if the register has this value, or has another.
    pub(crate) fn compare(self, register: u32, operator: u32, value: Vec<u8>) -> Self {
        self.push(
            "cmp",
            vec![Number(1, register), Number(2, operator), Data(3, value)],
        )
    }

    /// Puts a value into registers.
    pub(crate) fn load(self, register: u32, value: Vec<u8>) -> Self {
        self.push("immediate", vec![Number(1, register), Data(2, value)])
    }

    /// Goes on if the destination is an address of this host.
    pub(crate) fn for_this_host(self) -> Self {
        const LOCAL: u32 = 2;
        self.push(
            "fib",
            // The type of the destination's address.
            vec![Number(1, REGISTER), Number(2, 3), Number(3, 2)],
        )
        .compare(REGISTER, EQUAL, LOCAL.to_ne_bytes().to_vec())
    }

    /// Goes on if one of these bits is set.
    pub(crate) fn conntrack(self, key: Conntrack, bits: u32) -> Self {
        self.push("ct", vec![Number(1, REGISTER), Number(2, key as u32)])
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
            .compare(REGISTER, NOT_EQUAL, vec![0; 4])
    }

    /// Goes on if the registers' content is in the set, or is not.
    pub(crate) fn member(self, how: Lookup, set: Reference) -> Self {
        self.lookup(set, Number(5, how as u32))
    }

    /// Puts what a map has under the registers' content into the same registers; ends the rule if it has nothing.
    pub(crate) fn translate(self, map: Reference) -> Self {
        self.lookup(map, Number(3, REGISTER))
    }

    fn lookup(self, set: Reference, last: Value) -> Self {
        self.push(
            "lookup",
            vec![
                Text(1, set.name),
                Number(2, REGISTER),
                Number(4, set.id),
                last,
            ],
        )
    }

    /// Sends the connection to the address and port in these registers.
    pub(crate) fn destination(self, family: Family, address: u32, port: u32) -> Self {
        self.push(
            "nat",
            vec![
                Number(1, 1),
                Number(2, family.number().into()),
                Number(3, address),
                Number(5, port),
            ],
        )
    }

    pub(crate) fn masquerade(self) -> Self {
        self.push("masq", Vec::new())
    }

    pub(crate) fn drop(self) -> Self {
        self.verdict(DROP)
    }

    pub(crate) fn accept(self) -> Self {
        self.verdict(ACCEPT)
    }

    fn verdict(self, code: u32) -> Self {
        self.push(
            "immediate",
            vec![Number(1, REGISTER_VERDICT), Verdict(2, code)],
        )
    }
}
