//! Networks, endpoints, addresses, firewall rules.
//!
//! Knows bridges and what hangs on them; never container specs or the API. All changes go to the kernel as netlink batches;
//! nothing is executed and nothing is stored: what a container holds is in its [`Endpoint`], the rest is in the kernel.

mod bridge;
mod error;
mod files;
mod firewall;
mod ipam;
mod link;
mod sandbox;
mod subnet;
mod sysctl;

pub use bridge::{Bridge, BridgeInfo, Config};
pub use error::{Error, Result};
pub use files::{Dns, host_resolv_conf, hosts, resolv_conf, resolv_conf_with};
pub use ipnet::Ipv4Net;
pub use sandbox::{Endpoint, Sandbox, net_none};
