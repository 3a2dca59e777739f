//! Networks, endpoints, addresses, firewall rules.
//!
//! Knows bridges and what hangs on them; never container specs or the API. All changes go to the kernel as netlink batches;
//! nothing is executed. Stored are the networks' records alone: what a container holds is in its [`Endpoint`]s, which its
//! owner keeps, the rest is in the kernel.

mod bridge;
mod connect;
mod conntrack;
mod create;
mod endpoint;
mod error;
mod files;
mod firewall;
mod interface;
mod ipam;
mod keeper;
mod link;
mod mend;
mod names;
mod nat;
mod networks;
mod nft;
mod options;
mod parent;
mod publish;
mod record;
mod resolver;
mod sandbox;
mod subnet;
mod sysctl;
mod unplug;

pub use bridge::{Bridge, BridgeInfo, Config as BridgeConfig, Subnet};
pub use connect::{reroute, way_out};
pub use create::Create;
pub use endpoint::{Attachment, Endpoint, Settings};
pub use error::{Error, Result};
pub use files::{
    Dns, host_resolv_conf, hosts, hosts_entries, own_hosts, resolv_conf, resolv_conf_with,
    resolv_conf_within,
};
pub use firewall::Opening;
pub use ipnet::{IpNet, Ipv4Net, Ipv6Net};
pub use keeper::Keeper;
pub use link::normal_mac as parse_mac;
pub use names::{Member, Names, Naming, View};
pub use netd::protocol::Protocol;
pub use networks::{Config, Network, Networks, PREDEFINED};
pub use options::{GatewayMode, Options, PLACE_OPTIONS};
pub use publish::{Port, PortRequest, Ports, Target};
pub use record::{Driver, Pool, Record};
pub use resolver::ADDRESS as RESOLVER;
pub use sandbox::{Connected, Sandbox, net_none, of_process};
pub use subnet::AddressPool;
