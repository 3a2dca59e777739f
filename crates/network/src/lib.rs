//! Networks, endpoints, addresses, firewall rules.
//!
//! Knows bridges and what hangs on them; never container specs or the API. All changes go to the kernel as netlink batches;
//! nothing is executed. Stored are the networks' records alone: what a container holds is in its [`Endpoint`]s, which its
//! owner keeps, the rest is in the kernel.

mod bridge;
mod endpoint;
mod error;
mod files;
mod firewall;
mod ipam;
mod link;
mod networks;
mod record;
mod sandbox;
mod subnet;
mod sysctl;

pub use bridge::{Bridge, BridgeInfo, Config as BridgeConfig};
pub use endpoint::{Attachment, Endpoint, Settings};
pub use error::{Error, Result};
pub use files::{Dns, host_resolv_conf, hosts, resolv_conf, resolv_conf_with};
pub use ipnet::{IpNet, Ipv4Net, Ipv6Net};
pub use networks::{Config, Network, Networks, PREDEFINED};
pub use record::{Driver, Pool, Record};
pub use sandbox::{Connected, Sandbox, net_none};
