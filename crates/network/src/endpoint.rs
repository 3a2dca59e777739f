//! A container's place on a network: what was asked of it, and what it got.
//!
//! Both are the container's to keep. An [`Attachment`] is there whether the container runs or not; an [`Endpoint`] only
//! while it does, and is all that a later daemon needs to know to take the place over.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::link::WayOut;

/// A network that a container belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// The network as it was named: a name, an id or a part of one.
    pub network: String,
    /// The network's id; empty until the container was first connected.
    pub network_id: String,
    /// What was asked.
    pub settings: Settings,
}

impl Attachment {
    /// To a network of this name, without wishes.
    pub fn to(network: &str) -> Self {
        Self {
            network: network.to_owned(),
            ..Self::default()
        }
    }

    /// How the network is found: by its id once that is known, as it may have another name today.
    pub fn id_or_name(&self) -> &str {
        if self.network_id.is_empty() {
            &self.network
        } else {
            &self.network_id
        }
    }
}

/// What can be asked of a place on a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// This address and no other.
    pub ipv4: Option<Ipv4Addr>,
    /// This address and no other.
    pub ipv6: Option<Ipv6Addr>,
    /// More addresses, of the link alone.
    pub link_local: Vec<IpAddr>,
    /// This hardware address and no other.
    pub mac: Option<String>,
    /// Further names of the container on this network.
    pub aliases: Vec<String>,
    /// `container:alias`: names for others that only this container sees.
    pub links: Vec<String>,
    /// Options of the network's driver for this endpoint.
    pub driver_opts: BTreeMap<String, String>,
    /// The default route leads through the network with the highest one.
    pub gateway_priority: i64,
}

/// One container's place on one network while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Form")]
pub struct Endpoint {
    /// Its own id: 64 hex digits.
    pub id: String,
    /// The network's id.
    pub network_id: String,
    /// The network's name.
    pub network: String,
    /// The interface in the container; empty where there is none of its own (host, none).
    pub interface: String,
    /// The host's end; empty where there is none.
    pub host_interface: String,
    /// The hardware address of the container's end.
    pub mac: String,
    /// The address, with the subnet's prefix length.
    pub ipv4: Option<Ipv4Net>,
    /// Where an IPv4 default route would lead; none on a network without a way out.
    pub gateway4: Option<Ipv4Addr>,
    /// The address, with the subnet's prefix length.
    pub ipv6: Option<Ipv6Net>,
    /// Where an IPv6 default route would lead.
    pub gateway6: Option<Ipv6Addr>,
    /// A default route would lead out by the interface itself, to no gateway.
    pub direct: bool,
    /// The default route leads through the endpoint with the highest one.
    pub priority: i64,
}

impl Endpoint {
    /// How a default route of a family would lead through it.
    pub(crate) fn way_out(&self, six: bool) -> Option<WayOut> {
        let (gateway, address) = if six {
            (self.gateway6.map(IpAddr::V6), self.ipv6.is_some())
        } else {
            (self.gateway4.map(IpAddr::V4), self.ipv4.is_some())
        };
        let direct = (self.direct && address).then_some(WayOut::Direct(six));
        gateway.map(WayOut::Gateway).or(direct)
    }

    /// How default routes of both families would.
    pub(crate) fn ways_out(&self) -> Vec<WayOut> {
        [false, true]
            .into_iter()
            .filter_map(|six| self.way_out(six))
            .collect()
    }

    /// Its addresses without their prefixes, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let four = self.ipv4.map(|net| IpAddr::V4(net.addr()));
        let six = self.ipv6.map(|net| IpAddr::V6(net.addr()));
        four.into_iter().chain(six)
    }
}

/// An endpoint as it is read: of this build, or of one that knew the default bridge alone.
#[derive(Deserialize)]
struct Form {
    id: String,
    #[serde(default)]
    network_id: String,
    network: String,
    #[serde(default = "first_interface")]
    interface: String,
    host_interface: String,
    mac: String,
    ipv4: Option<Ipv4Net>,
    gateway4: Option<Ipv4Addr>,
    ipv6: Option<Ipv6Net>,
    gateway6: Option<Ipv6Addr>,
    #[serde(default)]
    direct: bool,
    #[serde(default)]
    priority: i64,
    // The earlier build's.
    ip: Option<Ipv4Addr>,
    #[serde(default)]
    prefix: u8,
    gateway: Option<Ipv4Addr>,
}

fn first_interface() -> String {
    "eth0".to_owned()
}

impl From<Form> for Endpoint {
    fn from(form: Form) -> Self {
        let earlier = form.ip.and_then(|ip| Ipv4Net::new(ip, form.prefix).ok());
        Self {
            id: form.id,
            network_id: form.network_id,
            network: form.network,
            interface: form.interface,
            host_interface: form.host_interface,
            mac: form.mac,
            ipv4: form.ipv4.or(earlier),
            gateway4: form.gateway4.or(form.gateway),
            ipv6: form.ipv6,
            gateway6: form.gateway6,
            direct: form.direct,
            priority: form.priority,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_of_the_earlier_build_is_read() {
        let text = r#"{"id":"c","network":"bridge","ip":"172.17.0.2","prefix":16,"gateway":"172.17.0.1",
            "mac":"02:42:ac:11:00:02","host_interface":"veth1"}"#;
        let read: Endpoint = serde_json::from_str(text).unwrap();
        assert_eq!(read.interface, "eth0");
        assert_eq!(read.ipv4, Some("172.17.0.2/16".parse().unwrap()));
        assert_eq!(read.gateway4, Some("172.17.0.1".parse().unwrap()));
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Endpoint>(&written).unwrap(), read);
    }
}
