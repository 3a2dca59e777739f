//! One small process beside the daemon, for what must go on while no daemon runs: it holds the sockets of published ports,
//! relays where the kernel has no path, and answers the containers' queries for names.
//!
//! Spawned when the first port is published or the first resolver is needed; adopted by later daemons; gone when nothing is
//! left to do. One thread, epoll; another one only to make a socket inside a container. Public to others are [`protocol`] and
//! [`client`], [`main`] to the binary, and [`dns::codec`] to those who feed it nonsense.
//!
//! - `server`: the loop, the engines' requests, and what is held.
//! - `ports`, `relay`, `pipes`, `flows`: published ports, connections through them, datagrams through them.
//! - `dns`: queries, names, forwarding.

#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::unwrap_used))]

pub mod client;
pub mod dns;
pub mod protocol;

mod flows;
mod pipes;
mod polling;
mod ports;
mod relay;
mod server;
mod slab;

use std::ffi::OsString;

use sys::socket::SeqPacket;
use sys::spawn::inherited;

/// The role `corten netd`: takes everything from inherited descriptors, nothing from its arguments. Gives the process's
/// exit code.
pub fn main(_args: &[OsString]) -> i32 {
    sys::memory::keep_small();
    let (control, listener) = (
        inherited(protocol::CONTROL_FD),
        inherited(protocol::LISTEN_FD),
    );
    let (Some(control), Some(listener)) = (control, listener) else {
        return 125;
    };
    // Every port and every connection costs some; where none can be had, those that there are do.
    drop(sys::rlimit::raise_descriptors());
    let served = server::Server::new(SeqPacket::from_fd(listener), SeqPacket::from_fd(control))
        .and_then(server::Server::run);
    i32::from(served.is_err())
}
