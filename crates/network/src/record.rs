//! What is stored of a network: one file, `<data root>/networks/<id>.json`. It never changes after the network's creation.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A network's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// 64 hex digits.
    pub id: String,
    /// Its name, which is no other network's.
    pub name: String,
    /// When it was created.
    pub created: SystemTime,
    /// How containers are connected.
    pub driver: Driver,
    /// Addresses of IPv4.
    pub enable_ipv4: bool,
    /// Addresses of IPv6.
    pub enable_ipv6: bool,
    /// No way out of it.
    pub internal: bool,
    /// Kept and shown: it has a meaning in swarms alone.
    pub attachable: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver, as they were given.
    pub options: BTreeMap<String, String>,
    /// Options of the address management, as they were given.
    pub ipam_options: BTreeMap<String, String>,
    /// Where addresses come from; of a bridge, at most one pool a family.
    pub pools: Vec<Pool>,
    /// It is a configuration for other networks and nothing else.
    #[serde(default)]
    pub config_only: bool,
    /// The network whose configuration it has; empty: its own.
    #[serde(default)]
    pub config_from: String,
}

impl store::Record for Record {
    const SCHEMA: u32 = 1;
}

/// How containers are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// Through a bridge of the host.
    Bridge,
    /// They share the host's interfaces.
    Host,
    /// Not at all.
    Null,
    /// Beside an interface of the host, each with a hardware address of its own.
    Macvlan,
    /// Beside an interface of the host, all with its hardware address.
    Ipvlan,
}

impl Driver {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
        }
    }
}

/// A subnet and what of it containers may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The subnet.
    pub subnet: IpNet,
    /// Containers get addresses of this part alone.
    pub range: Option<IpNet>,
    /// The network's own address.
    pub gateway: Option<IpAddr>,
    /// Addresses that belong to others, by what they are called.
    pub auxiliary: BTreeMap<String, IpAddr>,
    /// The user named the subnet: containers may ask for addresses of it.
    pub by_user: bool,
}
