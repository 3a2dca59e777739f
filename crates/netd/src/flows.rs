//! Datagrams through the proxy: each client gets a socket of its own towards the container, for as long as either speaks.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::slab::Token;

/// How long a silent flow is kept, as Docker's proxy does.
pub(crate) const IDLE: Duration = Duration::from_secs(90);
/// Clients of one port at a time; the one that was silent longest makes room.
pub(crate) const MOST: usize = 4096;

/// The flows of one port.
pub(crate) type Clients = HashMap<Client, Token>;

/// Who speaks, and to which of the host's addresses.
pub(crate) type Client = (SocketAddr, Option<IpAddr>);

/// One client's flow.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Connected to the container.
    pub(crate) socket: OwnedFd,
    /// The port it came through.
    pub(crate) port: Token,
    /// Where answers go.
    pub(crate) client: Client,
    /// When either spoke last.
    pub(crate) last: Instant,
}
