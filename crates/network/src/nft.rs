//! nf_tables messages: tables, chains, rules, maps and their elements. Every change is a batch that holds as a whole or not
//! at all.

use sys::netlink::{ACK, APPEND, CREATE, DUMP, Message, Refused, Socket, attributes};

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u16 = SUBSYSTEM << 8;
const DELTABLE: u16 = SUBSYSTEM << 8 | 2;
const NEWCHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEWRULE: u16 = SUBSYSTEM << 8 | 6;
const GETRULE: u16 = SUBSYSTEM << 8 | 7;
const NEWSET: u16 = SUBSYSTEM << 8 | 9;
const NEWSETELEM: u16 = SUBSYSTEM << 8 | 0x0c;
const DELSETELEM: u16 = SUBSYSTEM << 8 | 0x0e;
const GETGEN: u16 = SUBSYSTEM << 8 | 0x10;
const SET_MAP: u32 = 8;
/// An attribute holds 64 KiB; an element of the widest map takes 80 bytes.
const ELEMENTS: usize = 500;

/// The first of the registers of four bytes; the others follow it.
pub(crate) const REGISTER: u32 = 8;
const REGISTER_VERDICT: u32 = 0;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
pub(crate) const EQUAL: u32 = 0;
pub(crate) const NOT_EQUAL: u32 = 1;

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }
}

/// Where a chain stands in a packet's way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hook {
    pub(crate) kind: &'static str,
    pub(crate) number: u32,
    pub(crate) priority: i32,
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

pub(crate) fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

/// Counts the changes of all tables of this network namespace, by whomever.
pub(crate) fn generation(socket: &Socket) -> Result<Option<u32>, Refused> {
    let found = socket.query(&Message::new(GETGEN, 0).raw(&header(0, 0)))?;
    let number = found
        .first()
        .and_then(|payload| attributes(payload.get(4..)?).find(|(kind, _)| *kind == 1))
        .and_then(|(_, value)| Some(u32::from_be_bytes(value.try_into().ok()?)));
    Ok(number)
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

    /// How many rules the table has; none when there is no table.
    pub(crate) fn rules(self, socket: &Socket) -> Result<usize, Refused> {
        let request = Message::new(GETRULE, DUMP)
            .raw(&header(self.family.number(), 0))
            .string(1, self.name);
        Ok(socket.query(&request)?.len())
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

    /// A chain that accepts what its rules let pass.
    pub(crate) fn chain(self, name: &str, hook: Hook) -> Message {
        self.message(NEWCHAIN, CREATE)
            .string(3, name)
            .nest(4, |m| {
                m.attribute(1, &hook.number.to_be_bytes())
                    .attribute(2, &hook.priority.to_be_bytes())
            })
            .attribute(5, &ACCEPT.to_be_bytes())
            .string(7, hook.kind)
    }

    /// A rule at the end of a chain.
    pub(crate) fn rule(self, chain: &str, rule: Rule) -> Message {
        self.message(NEWRULE, CREATE | APPEND)
            .string(2, chain)
            .nest(4, |m| {
                rule.expressions.into_iter().fold(m, |m, expression| {
                    m.nest(1, |m| {
                        m.string(1, expression.name).nest(2, |m| {
                            expression.values.iter().fold(m, |m, value| value.append(m))
                        })
                    })
                })
            })
    }

    /// An empty map. Types are nft's numbers, for those who list it; the kernel looks at the lengths alone.
    pub(crate) fn map(self, name: &str, id: u32, key: (u32, u32), data: (u32, u32)) -> Message {
        let number = |m: Message, kind, value: u32| m.attribute(kind, &value.to_be_bytes());
        let m = self.message(NEWSET, CREATE).string(2, name);
        [
            (3, SET_MAP),
            (4, key.0),
            (5, key.1),
            (6, data.0),
            (7, data.1),
            (10, id),
        ]
        .into_iter()
        .fold(m, |m, (kind, value)| number(m, kind, value))
    }

    /// Puts elements into a map, or takes them out of it.
    pub(crate) fn elements(self, map: &str, elements: &[Element], add: bool) -> Vec<Message> {
        let (kind, flags) = if add {
            (NEWSETELEM, CREATE)
        } else {
            (DELSETELEM, 0)
        };
        let message = |part: &[Element]| {
            self.message(kind, flags).string(2, map).nest(3, |m| {
                part.iter().fold(m, |m, element| {
                    m.nest(1, |m| {
                        let m = m.nest(1, |m| m.attribute(1, &element.key));
                        if add {
                            m.nest(2, |m| m.attribute(1, &element.data))
                        } else {
                            m
                        }
                    })
                })
            })
        };
        elements.chunks(ELEMENTS).map(message).collect()
    }
}

/// One entry of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) key: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// A rule: expressions that each look at the packet, the last of which decides.
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
    Text(u16, String),
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

/// Parts of a packet's facts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meta {
    InputName = 6,
    Transport = 16,
}

impl Rule {
    fn push(mut self, name: &'static str, values: Vec<Value>) -> Self {
        self.expressions.push(Expression { name, values });
        self
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
        self.push(
            "payload",
            vec![
                Number(1, register),
                Number(2, base),
                Number(3, offset),
                Number(4, length),
            ],
        )
    }

    /// Goes on if the interface is this one, or is not.
    pub(crate) fn interface(self, key: Meta, operator: u32, name: &str) -> Self {
        let mut padded = name.as_bytes().to_vec();
        padded.resize(16, 0);
        self.meta(REGISTER, key).compare(REGISTER, operator, padded)
    }

    /// Goes on if the register has this value, or has another.
    pub(crate) fn compare(self, register: u32, operator: u32, value: Vec<u8>) -> Self {
        self.push(
            "cmp",
            vec![Number(1, register), Number(2, operator), Data(3, value)],
        )
    }

    /// Keeps these bits of a register.
    pub(crate) fn mask(self, register: u32, mask: Vec<u8>) -> Self {
        let length = u32::try_from(mask.len()).unwrap_or(0);
        let none = vec![0; mask.len()];
        self.push(
            "bitwise",
            vec![
                Number(1, register),
                Number(2, register),
                Number(3, length),
                Data(4, mask),
                Data(5, none),
            ],
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

    /// Goes on if the connection's destination was translated.
    pub(crate) fn translated(self) -> Self {
        const STATUS: u32 = 2;
        const DNAT: u32 = 1 << 5;
        self.push("ct", vec![Number(1, REGISTER), Number(2, STATUS)])
            .mask(REGISTER, DNAT.to_ne_bytes().to_vec())
            .compare(REGISTER, NOT_EQUAL, vec![0; 4])
    }

    /// Puts what a map has under the registers' content into the same registers; ends the rule if it has nothing.
    pub(crate) fn look_up(self, map: &str, id: u32) -> Self {
        self.push(
            "lookup",
            vec![
                Text(1, map.to_owned()),
                Number(2, REGISTER),
                Number(3, REGISTER),
                Number(4, id),
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
