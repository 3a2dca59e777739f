//! Messages that make interfaces, one function for each kind.

use std::os::fd::{AsRawFd, BorrowedFd};

use sys::netlink::{ACK, CREATE, EXCL, Message};

use super::{
    IFF_UP, IFLA_ADDRESS, IFLA_GROUP, IFLA_IFNAME, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, INFO_KIND,
    Mac, NEWLINK, link_header,
};
use crate::parent::Mode;

const IFLA_LINK: u16 = 5;
const IFLA_NET_NS_FD: u16 = 28;
const INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const MACVLAN_MODE: u16 = 1;
const IPVLAN_MODE: u16 = 1;
const IPVLAN_FLAGS: u16 = 2;
const VLAN_ID: u16 = 1;

/// Makes a bridge that is up. Its hardware address is fixed: an inherited one would change with every port.
pub(crate) fn new_bridge(name: &str, mtu: u32, mac: Mac, group: u32) -> Message {
    Message::new(NEWLINK, ACK | CREATE | EXCL)
        .raw(&link_header(0, IFF_UP))
        .string(IFLA_IFNAME, name)
        .attribute(IFLA_MTU, &mtu.to_ne_bytes())
        .attribute(IFLA_ADDRESS, &mac)
        .attribute(IFLA_GROUP, &group.to_ne_bytes())
        .nest(IFLA_LINKINFO, |m| m.string(INFO_KIND, "bridge"))
}

/// One end of a new pair on a bridge.
#[derive(Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) host_name: &'a str,
    pub(crate) bridge: u32,
    pub(crate) mtu: u32,
    pub(crate) peer_name: &'a str,
    pub(crate) peer_mac: Mac,
    pub(crate) peer_netns: BorrowedFd<'a>,
}

/// Makes a veth pair: this end a port of the bridge, the other inside its namespace. Both are down: the kernel ties the
/// ends together last, and an end without its other cannot be opened (ENOTCONN).
pub(crate) fn new_pair(pair: &Pair<'_>) -> Message {
    let mtu = pair.mtu.to_ne_bytes();
    Message::new(NEWLINK, ACK | CREATE | EXCL)
        .raw(&link_header(0, 0))
        .string(IFLA_IFNAME, pair.host_name)
        .attribute(IFLA_MTU, &mtu)
        .attribute(IFLA_MASTER, &pair.bridge.to_ne_bytes())
        .nest(IFLA_LINKINFO, |m| {
            m.string(INFO_KIND, "veth").nest(INFO_DATA, |m| {
                m.nest(VETH_INFO_PEER, |m| {
                    m.raw(&link_header(0, 0))
                        .string(IFLA_IFNAME, pair.peer_name)
                        .attribute(IFLA_MTU, &mtu)
                        .attribute(IFLA_ADDRESS, &pair.peer_mac)
                        .attribute(IFLA_NET_NS_FD, &pair.peer_netns.as_raw_fd().to_ne_bytes())
                })
            })
        })
}

/// Makes an interface beside another of this namespace: inside one, under this name, MTU and hardware address; `None`:
/// here, with what the kernel chooses.
pub(crate) fn new_beside(
    name: &str,
    parent: u32,
    mode: Mode,
    inside: Option<(BorrowedFd<'_>, u32, Option<Mac>)>,
) -> Message {
    let message = Message::new(NEWLINK, ACK | CREATE | EXCL)
        .raw(&link_header(0, 0))
        .string(IFLA_IFNAME, name)
        .attribute(IFLA_LINK, &parent.to_ne_bytes());
    let message = match inside {
        Some((netns, mtu, mac)) => {
            let message = message
                .attribute(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes())
                .attribute(IFLA_MTU, &mtu.to_ne_bytes());
            match mac {
                Some(mac) => message.attribute(IFLA_ADDRESS, &mac),
                None => message,
            }
        }
        None => message,
    };
    message.nest(IFLA_LINKINFO, |m| {
        m.string(INFO_KIND, mode.kind())
            .nest(INFO_DATA, |m| match mode {
                Mode::Macvlan(mode) => m.attribute(MACVLAN_MODE, &mode.to_ne_bytes()),
                Mode::Ipvlan { mode, flags } => m
                    .attribute(IPVLAN_MODE, &mode.to_ne_bytes())
                    .attribute(IPVLAN_FLAGS, &flags.to_ne_bytes()),
            })
    })
}

/// Makes an interface that leads nowhere, and is up.
pub(crate) fn new_dummy(name: &str) -> Message {
    Message::new(NEWLINK, ACK | CREATE | EXCL)
        .raw(&link_header(0, IFF_UP))
        .string(IFLA_IFNAME, name)
        .nest(IFLA_LINKINFO, |m| m.string(INFO_KIND, "dummy"))
}

/// Makes a VLAN of an interface, and brings it up.
pub(crate) fn new_vlan(name: &str, base: u32, id: u16) -> Message {
    Message::new(NEWLINK, ACK | CREATE | EXCL)
        .raw(&link_header(0, IFF_UP))
        .string(IFLA_IFNAME, name)
        .attribute(IFLA_LINK, &base.to_ne_bytes())
        .nest(IFLA_LINKINFO, |m| {
            m.string(INFO_KIND, "vlan")
                .nest(INFO_DATA, |m| m.attribute(VLAN_ID, &id.to_ne_bytes()))
        })
}
