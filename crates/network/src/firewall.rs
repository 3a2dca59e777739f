//! One nftables table a bridge, replaced as a whole in one atomic batch.
//!
//! ```text
//! table ip <bridge> {
//!   chain raw-prerouting { type filter hook prerouting priority raw;
//!     ip daddr SUBNET iifname != BRIDGE drop                  neighbours do not reach containers by their own address
//!     iifname BRIDGE ip daddr 127.0.0.0/8 drop                containers do not reach the host's localhost,
//!     iifname BRIDGE ip saddr 127.0.0.0/8 drop                though route_localnet lets its published ports reach them
//!   }
//!   chain forward { type filter hook forward priority filter; policy accept;
//!     iifname BRIDGE accept
//!     oifname BRIDGE ct state established,related accept
//!     oifname BRIDGE ct status dnat accept                    published ports
//!     oifname BRIDGE drop
//!   }
//!   chain postrouting { type nat hook postrouting priority srcnat;
//!     ip saddr SUBNET oifname != BRIDGE masquerade
//!     ip saddr SUBNET oifname BRIDGE ct status dnat masquerade    a published port used from the network it leads to
//!   }
//! }
//! ```
//!
//! Replies to masqueraded traffic pass the first chain: there they are still addressed to the host, translation comes
//! later. The host's own traffic to a container passes neither prerouting nor forward.

use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sys::netlink::{ACK, APPEND, CREATE, DUMP, Message, Protocol, Refused, Socket, attributes};

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u16 = SUBSYSTEM << 8;
const DELTABLE: u16 = SUBSYSTEM << 8 | 2;
const NEWCHAIN: u16 = SUBSYSTEM << 8 | 3;
const GETCHAIN: u16 = SUBSYSTEM << 8 | 4;
const NEWRULE: u16 = SUBSYSTEM << 8 | 6;
const FAMILY_IPV4: u8 = 2;

const PREROUTING: u32 = 0;
const FORWARD: u32 = 2;
const POSTROUTING: u32 = 4;
const PRIORITY_RAW: i32 = -300;
const PRIORITY_FILTER: i32 = 0;
const PRIORITY_SRCNAT: i32 = 100;

const REGISTER_VERDICT: u32 = 0;
const REGISTER: u32 = 1;
const OFFSET_SOURCE: u32 = 12;
const OFFSET_DESTINATION: u32 = 16;
const STATE_ESTABLISHED_RELATED: u32 = 2 | 4;
const STATUS_DNAT: u32 = 1 << 5;
const LOCALHOST: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

/// Opens the socket that all the rest is given. It is to be kept: closing one after a table was replaced waits for the
/// kernel to free the old one, ten milliseconds and more (`nft_rcv_nl_event`).
pub(crate) fn open() -> io::Result<Socket> {
    Socket::open(Protocol::Netfilter)
}

/// Replaces the bridge's table.
pub(crate) fn install(socket: &Socket, bridge: &str, subnet: Ipv4Net) -> Result<(), Refused> {
    let mut batch = vec![
        batch_mark(BATCH_BEGIN),
        new_table(bridge),
        delete_table(bridge),
        new_table(bridge),
    ];
    batch.extend(chain(
        bridge,
        "raw-prerouting",
        "filter",
        PREROUTING,
        PRIORITY_RAW,
        raw_prerouting(bridge, subnet),
    ));
    batch.extend(chain(
        bridge,
        "forward",
        "filter",
        FORWARD,
        PRIORITY_FILTER,
        forward(bridge),
    ));
    batch.extend(chain(
        bridge,
        "postrouting",
        "nat",
        POSTROUTING,
        PRIORITY_SRCNAT,
        postrouting(bridge, subnet),
    ));
    batch.push(batch_mark(BATCH_END));
    socket.transact(&batch)
}

/// Removes the bridge's table; one that does not exist is removed already.
pub(crate) fn remove(socket: &Socket, bridge: &str) -> Result<(), Refused> {
    socket.transact(&[
        batch_mark(BATCH_BEGIN),
        new_table(bridge),
        delete_table(bridge),
        batch_mark(BATCH_END),
    ])
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

fn raw_prerouting(bridge: &str, subnet: Ipv4Net) -> Vec<Rule> {
    vec![
        Rule::default()
            .network(OFFSET_DESTINATION, subnet)
            .input(NOT_EQUAL, bridge)
            .verdict(DROP),
        Rule::default()
            .input(EQUAL, bridge)
            .network(OFFSET_DESTINATION, LOCALHOST)
            .verdict(DROP),
        Rule::default()
            .input(EQUAL, bridge)
            .network(OFFSET_SOURCE, LOCALHOST)
            .verdict(DROP),
    ]
}

fn forward(bridge: &str) -> Vec<Rule> {
    vec![
        Rule::default().input(EQUAL, bridge).verdict(ACCEPT),
        Rule::default()
            .output(EQUAL, bridge)
            .conntrack(CT_STATE, STATE_ESTABLISHED_RELATED)
            .verdict(ACCEPT),
        Rule::default()
            .output(EQUAL, bridge)
            .conntrack(CT_STATUS, STATUS_DNAT)
            .verdict(ACCEPT),
        Rule::default().output(EQUAL, bridge).verdict(DROP),
    ]
}

fn postrouting(bridge: &str, subnet: Ipv4Net) -> Vec<Rule> {
    vec![
        Rule::default()
            .network(OFFSET_SOURCE, subnet)
            .output(NOT_EQUAL, bridge)
            .masquerade(),
        // The answer would go straight to the asker, who has asked somebody else: it has to come back through here.
        Rule::default()
            .network(OFFSET_SOURCE, subnet)
            .output(EQUAL, bridge)
            .conntrack(CT_STATUS, STATUS_DNAT)
            .masquerade(),
    ]
}

fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

fn batch_mark(kind: u16) -> Message {
    Message::new(kind, 0).raw(&header(0, SUBSYSTEM))
}

fn new_table(name: &str) -> Message {
    Message::new(NEWTABLE, ACK | CREATE)
        .raw(&header(FAMILY_IPV4, 0))
        .string(1, name)
        .attribute(2, &0_u32.to_be_bytes())
}

fn delete_table(name: &str) -> Message {
    Message::new(DELTABLE, ACK)
        .raw(&header(FAMILY_IPV4, 0))
        .string(1, name)
}

fn chain(
    table: &str,
    name: &str,
    kind: &str,
    hook: u32,
    priority: i32,
    rules: Vec<Rule>,
) -> Vec<Message> {
    let chain = Message::new(NEWCHAIN, ACK | CREATE)
        .raw(&header(FAMILY_IPV4, 0))
        .string(1, table)
        .string(3, name)
        .nest(4, |m| {
            m.attribute(1, &hook.to_be_bytes())
                .attribute(2, &priority.to_be_bytes())
        })
        .attribute(5, &ACCEPT.to_be_bytes())
        .string(7, kind);
    let rules = rules.into_iter().map(|rule| {
        Message::new(NEWRULE, ACK | CREATE | APPEND)
            .raw(&header(FAMILY_IPV4, 0))
            .string(1, table)
            .string(2, name)
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
    });
    std::iter::once(chain).chain(rules).collect()
}

const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;

/// A rule: expressions that each look at the packet, the last of which decides.
#[derive(Debug, Default)]
struct Rule {
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
    Data(u16, Vec<u8>),
    Verdict(u16, u32),
}

impl Value {
    fn append(&self, m: Message) -> Message {
        match self {
            Self::Number(kind, number) => m.attribute(*kind, &number.to_be_bytes()),
            Self::Data(kind, bytes) => m.nest(*kind, |m| m.attribute(1, bytes)),
            Self::Verdict(kind, code) => m.nest(*kind, |m| {
                m.nest(2, |m| m.attribute(1, &code.to_be_bytes()))
            }),
        }
    }
}

impl Rule {
    fn push(mut self, name: &'static str, values: Vec<Value>) -> Self {
        self.expressions.push(Expression { name, values });
        self
    }

    /// The address at this offset of the IPv4 header lies in `subnet`.
    fn network(self, offset: u32, subnet: Ipv4Net) -> Self {
        let number = Value::Number;
        self.push(
            "payload",
            vec![
                number(1, REGISTER),
                number(2, 1),
                number(3, offset),
                number(4, 4),
            ],
        )
        .mask(subnet.netmask().octets())
        .compare(EQUAL, subnet.network().octets().to_vec())
    }

    fn input(self, operator: u32, interface: &str) -> Self {
        self.interface(META_IIFNAME, operator, interface)
    }

    fn output(self, operator: u32, interface: &str) -> Self {
        self.interface(META_OIFNAME, operator, interface)
    }

    fn interface(self, key: u32, operator: u32, interface: &str) -> Self {
        let mut name = interface.as_bytes().to_vec();
        name.resize(16, 0);
        self.push(
            "meta",
            vec![Value::Number(1, REGISTER), Value::Number(2, key)],
        )
        .compare(operator, name)
    }

    /// One of these bits is set in the connection's state or status.
    fn conntrack(self, key: u32, bits: u32) -> Self {
        self.push(
            "ct",
            vec![Value::Number(1, REGISTER), Value::Number(2, key)],
        )
        .mask(bits.to_ne_bytes())
        .compare(NOT_EQUAL, vec![0; 4])
    }

    fn mask(self, mask: [u8; 4]) -> Self {
        let values = vec![
            Value::Number(1, REGISTER),
            Value::Number(2, REGISTER),
            Value::Number(3, 4),
            Value::Data(4, mask.to_vec()),
            Value::Data(5, vec![0; 4]),
        ];
        self.push("bitwise", values)
    }

    fn compare(self, operator: u32, value: Vec<u8>) -> Self {
        self.push(
            "cmp",
            vec![
                Value::Number(1, REGISTER),
                Value::Number(2, operator),
                Value::Data(3, value),
            ],
        )
    }

    fn verdict(self, code: u32) -> Self {
        self.push(
            "immediate",
            vec![Value::Number(1, REGISTER_VERDICT), Value::Verdict(2, code)],
        )
    }

    fn masquerade(self) -> Self {
        self.push("masq", Vec::new())
    }
}
