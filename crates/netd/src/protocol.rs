//! What the engine and netd say to one another.
//!
//! The transport is a SOCK_SEQPACKET unix socket: one packet, one message (postcard), descriptors ride along. The first
//! connection and the listening socket are inherited at spawn; later connections come through [`SOCKET`] in the engine's
//! exec root. Every request has exactly one reply, in order.
//!
//! A daemon meets older and newer netds: it says [`Request::Hello`] first, and one that answers with another [`VERSION`] is
//! sent away ([`Request::Retire`]) and replaced. The first three requests never change.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Of this protocol.
pub const VERSION: u32 = 1;
/// Number of the inherited connection.
pub const CONTROL_FD: i32 = 3;
/// Number of the inherited listening socket.
pub const LISTEN_FD: i32 = 4;
/// Name of the listening socket in the exec root.
pub const SOCKET: &str = "netd.sock";
/// Ports that one [`Request::Publish`] may carry: each has a descriptor.
pub const PORTS: usize = sys::socket::MAX_FDS;

/// What the engine asks.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// The first request of a connection.
    Hello {
        /// The asker's.
        version: u32,
    },
    /// Ends netd, whatever it holds.
    Retire,
    /// What is held.
    State,
    /// Holds these ports for a container, beside those it has. One bound socket each rides along, in this order.
    Publish {
        /// Whose.
        container: String,
        /// Where each leads.
        ports: Vec<Port>,
    },
    /// Lets go of a container's ports, and of the connections through them.
    Unpublish {
        /// Whose.
        container: String,
    },
    /// Answers a container's queries. Its sockets for datagrams and connections ride along; without them only what it
    /// sees changes, if its queries are answered already.
    Resolve {
        /// Whose.
        container: String,
        /// What it sees.
        view: View,
    },
    /// A container's names on a network, in place of those it had there.
    Join {
        /// Where.
        network: String,
        /// Who.
        member: Member,
    },
    /// A container has no names on a network any more.
    Leave {
        /// Where.
        network: String,
        /// Whose.
        container: String,
    },
    /// Lets go of all of a container: ports, sockets, names.
    Forget {
        /// Whose.
        container: String,
    },
}

/// Which transport a port belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// Connections, relayed.
    Tcp,
    /// Datagrams, relayed.
    Udp,
    /// Held alone.
    Sctp,
}

impl Protocol {
    /// As it is written behind a port.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// Where a held port leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The transport.
    pub protocol: Protocol,
    /// The container's.
    pub target: SocketAddr,
}

/// What a container's resolver sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Ids of the networks whose names it knows, the most important first.
    pub networks: Vec<String>,
    /// Names that only it knows: lower case, without a closing dot.
    pub own: Vec<(String, Vec<IpAddr>)>,
    /// Other names for containers on its networks, that only it knows: lower case, and the container's id.
    pub links: Vec<(String, String)>,
    /// Where other questions go: to these, as far as they are reached from inside it; with `None`, where the host's own go.
    pub servers: Option<Vec<IpAddr>>,
    /// Nothing goes where the host's own questions go: it must not reach beyond its networks.
    pub internal: bool,
}

/// A container's names on one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub container: String,
    /// The first is what its addresses are called in return.
    pub names: Vec<String>,
    /// The network's name: names are known with it as their domain, too.
    pub domain: String,
    /// Its addresses there.
    pub addresses: Vec<IpAddr>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Hello`].
    Hello {
        /// The answerer's.
        version: u32,
        /// Its process id: the socket was made by the daemon that spawned it, and tells only of that one.
        pid: u32,
    },
    /// It is done.
    Done,
    /// It could not be done, and nothing of it was.
    Failed(String),
    /// To [`Request::State`].
    State(Vec<Held>),
}

/// What is held of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Whose.
    pub container: String,
    /// How many ports.
    pub ports: usize,
    /// Its queries are answered.
    pub resolves: bool,
}
