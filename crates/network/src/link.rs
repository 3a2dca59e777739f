//! Links, addresses and routes as netlink messages: what to send, and how to read the answers. Nothing is decided here.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use sys::netlink::{ACK, CREATE, DUMP, Message, REPLACE, Refused, Socket, attribute, attributes};

mod make;

pub(crate) use make::{Pair, new_beside, new_bridge, new_dummy, new_pair, new_vlan};

const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const GETLINK: u16 = 18;
const SETLINK: u16 = 19;
const NEWADDR: u16 = 20;
const DELADDR: u16 = 21;
const GETADDR: u16 = 22;
const NEWROUTE: u16 = 24;
const DELROUTE: u16 = 25;
const GETROUTE: u16 = 26;
const NEWNEIGH: u16 = 28;

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const AF_BRIDGE: u8 = 7;
const IFF_UP: u32 = 1;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_PROTINFO: u16 = 12;
const IFLA_LINKINFO: u16 = 18;
const IFLA_GROUP: u16 = 27;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const IFLA_IFALIAS: u16 = 20;
const INFO_KIND: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_F_NODAD: u8 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const NDA_LLADDR: u16 = 2;

const TABLE_MAIN: u8 = 254;
const PROTOCOL_BOOT: u8 = 3;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
/// Of any scope, when a route is deleted.
const SCOPE_NOWHERE: u8 = 255;
const TYPE_UNICAST: u8 = 1;
const NUD_NOARP: u16 = 0x40;
const NTF_MASTER: u8 = 4;

/// The group of bridges whose members are kept apart, where bridges pass through the host's IP filters. What a member
/// sends to a port that another has published would be translated on the bridge, and sent on from there: to a port that
/// is isolated from the first. So it is not translated, and netd takes it.
pub(crate) const APART: u32 = u32::from_be_bytes(*b"cort");

/// A hardware address.
pub(crate) type Mac = [u8; 6];

/// An interface as the kernel describes it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) up: bool,
    pub(crate) mtu: u32,
    pub(crate) kind: String,
    pub(crate) alias: String,
    /// The bridge that it is a port of; 0: of none.
    pub(crate) master: u32,
}

/// The address Docker's bridge driver derives for a container: `02:42` and the IPv4 address.
pub(crate) fn mac_of(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

/// A hardware address that is nobody's: local, of one interface, random.
pub(crate) fn random_mac() -> Mac {
    let random = stdx::id::random_hex();
    let byte = |at: usize| u8::from_str_radix(&random[at * 2..at * 2 + 2], 16).unwrap_or(0);
    [
        byte(0) & 0xfc | 2,
        byte(1),
        byte(2),
        byte(3),
        byte(4),
        byte(5),
    ]
}

/// Reads a hardware address: six bytes parted by colons or hyphens.
pub(crate) fn parse_mac(text: &str) -> Option<Mac> {
    let mut mac = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

/// A hardware address in the usual way to write it; none if it is none.
pub fn normal_mac(text: &str) -> Option<String> {
    parse_mac(text).map(mac_text)
}

/// The usual way to write a hardware address.
pub(crate) fn mac_text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn link_header(index: u32, flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes()); // change exactly these flags
    header
}

/// Sets the free text that `ip link` shows as alias (creation ignores it).
pub(crate) fn set_alias(name: &str, alias: &str) -> Message {
    Message::new(SETLINK, ACK)
        .raw(&link_header(0, 0))
        .string(IFLA_IFNAME, name)
        .string(IFLA_IFALIAS, alias)
}

/// Sets an existing bridge's MTU, hardware address and group, and brings it up.
pub(crate) fn set_bridge(index: u32, mtu: u32, mac: Mac, group: u32) -> Message {
    Message::new(SETLINK, ACK)
        .raw(&link_header(index, IFF_UP))
        .attribute(IFLA_MTU, &mtu.to_ne_bytes())
        .attribute(IFLA_ADDRESS, &mac)
        .attribute(IFLA_GROUP, &group.to_ne_bytes())
}

/// Brings an interface up, by index.
pub(crate) fn up(index: u32) -> Message {
    Message::new(SETLINK, ACK).raw(&link_header(index, IFF_UP))
}

/// Gives an interface that is down another name.
pub(crate) fn rename(index: u32, name: &str) -> Message {
    Message::new(SETLINK, ACK)
        .raw(&link_header(index, 0))
        .string(IFLA_IFNAME, name)
}

/// Makes an interface a port of a bridge.
pub(crate) fn set_master(index: u32, bridge: u32) -> Message {
    Message::new(SETLINK, ACK)
        .raw(&link_header(index, 0))
        .attribute(IFLA_MASTER, &bridge.to_ne_bytes())
}

/// Deletes an interface.
pub(crate) fn delete(index: u32) -> Message {
    Message::new(DELLINK, ACK).raw(&link_header(index, 0))
}

/// Whether this message tells that the interface is gone.
pub(crate) fn is_end_of(index: u32, kind: u16, payload: &[u8]) -> bool {
    kind == DELLINK && payload.get(4..8).and_then(u32_of) == Some(index)
}

/// Tells a bridge behind which port a hardware address lives, so that nothing is flooded to find out.
pub(crate) fn bridge_entry(port: u32, mac: Mac) -> Message {
    let mut header = [0; 12];
    header[0] = AF_BRIDGE;
    header[4..8].copy_from_slice(&port.to_ne_bytes());
    header[8..10].copy_from_slice(&NUD_NOARP.to_ne_bytes());
    header[10] = NTF_MASTER;
    Message::new(NEWNEIGH, ACK | CREATE | REPLACE)
        .raw(&header)
        .attribute(NDA_LLADDR, &mac)
}

/// An address as it stands in a packet.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

fn address_message(kind: u16, flags: u16, index: u32, address: IpNet) -> Message {
    let mut header = [0; 8];
    header[0] = family(address.addr());
    header[1] = address.prefix_len();
    if address.addr().is_ipv6() {
        // Nobody else has it, and who waits a second for the proof of that is not reached meanwhile.
        header[2] = IFA_F_NODAD;
    }
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let octets_of = octets(address.addr());
    let message = Message::new(kind, flags)
        .raw(&header)
        .attribute(IFA_LOCAL, &octets_of)
        .attribute(IFA_ADDRESS, &octets_of);
    if address.addr().is_ipv4() {
        message.attribute(IFA_BROADCAST, &octets(address.broadcast()))
    } else {
        message
    }
}

/// Gives an interface an address; its prefix becomes a route.
pub(crate) fn add_address(index: u32, address: IpNet) -> Message {
    address_message(NEWADDR, ACK | CREATE | REPLACE, index, address)
}

/// Takes an address away.
pub(crate) fn delete_address(index: u32, address: IpNet) -> Message {
    address_message(DELADDR, ACK, index, address)
}

fn default_message(kind: u16, flags: u16, family: u8, scope: u8) -> Message {
    let header = [
        family,
        0,
        0,
        0,
        TABLE_MAIN,
        PROTOCOL_BOOT,
        scope,
        TYPE_UNICAST,
        0,
        0,
        0,
        0,
    ];
    Message::new(kind, ACK | flags).raw(&header)
}

/// Where a default route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WayOut {
    /// To a gateway.
    Gateway(IpAddr),
    /// Out by the interface, to whomever a packet is for; whether by IPv6.
    Direct(bool),
}

/// Sets the default route of a family, in place of the one there was.
pub(crate) fn default_route(index: u32, out: WayOut) -> Message {
    let message = match out {
        WayOut::Gateway(gateway) => {
            default_message(NEWROUTE, CREATE | REPLACE, family(gateway), SCOPE_UNIVERSE)
                .attribute(RTA_GATEWAY, &octets(gateway))
        }
        WayOut::Direct(false) => default_message(NEWROUTE, CREATE | REPLACE, AF_INET, SCOPE_LINK),
        WayOut::Direct(true) => {
            default_message(NEWROUTE, CREATE | REPLACE, AF_INET6, SCOPE_UNIVERSE)
        }
    };
    message.attribute(RTA_OIF, &index.to_ne_bytes())
}

/// Takes the default route of a family away.
pub(crate) fn no_default_route(six: bool) -> Message {
    let family = if six { AF_INET6 } else { AF_INET };
    default_message(DELROUTE, 0, family, SCOPE_NOWHERE)
}

/// How a port of a bridge treats frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortMode {
    /// It reaches the bridge itself and not other isolated ports.
    pub(crate) isolated: bool,
    /// A frame may go back to the port it came by.
    pub(crate) hairpin: bool,
}

/// Sets how a port treats frames.
pub(crate) fn port_mode(port: u32, mode: PortMode) -> Message {
    let mut header = link_header(port, 0);
    header[0] = AF_BRIDGE;
    Message::new(SETLINK, ACK)
        .raw(&header)
        .nest(IFLA_PROTINFO, |m| {
            m.attribute(IFLA_BRPORT_MODE, &[mode.hairpin.into()])
                .attribute(IFLA_BRPORT_ISOLATED, &[mode.isolated.into()])
        })
}

/// Looks up an interface by name.
pub(crate) fn find(socket: &Socket, name: &str) -> Result<Option<Link>, Refused> {
    let request = Message::new(GETLINK, 0)
        .raw(&link_header(0, 0))
        .string(IFLA_IFNAME, name);
    one_link(socket, &request)
}

/// Looks up an interface by index.
pub(crate) fn get(socket: &Socket, index: u32) -> Result<Option<Link>, Refused> {
    one_link(
        socket,
        &Message::new(GETLINK, 0).raw(&link_header(index, 0)),
    )
}

fn one_link(socket: &Socket, request: &Message) -> Result<Option<Link>, Refused> {
    match socket.query(request) {
        Ok(found) => Ok(found.first().and_then(|payload| parse_link(payload))),
        Err(refused) if refused.missing() => Ok(None),
        Err(refused) => Err(refused),
    }
}

fn parse_link(payload: &[u8]) -> Option<Link> {
    let mut link = Link {
        index: u32_of(payload.get(4..8)?)?,
        name: String::new(),
        up: u32_of(payload.get(8..12)?)? & IFF_UP != 0,
        mtu: 0,
        kind: String::new(),
        alias: String::new(),
        master: 0,
    };
    for (kind, value) in attributes(payload.get(16..)?) {
        match kind {
            IFLA_IFNAME => link.name = text_of(value),
            IFLA_MTU => link.mtu = u32_of(value)?,
            IFLA_IFALIAS => link.alias = text_of(value),
            IFLA_MASTER => link.master = u32_of(value)?,
            IFLA_LINKINFO => {
                link.kind = attribute(value, INFO_KIND).map_or_else(String::new, text_of);
            }
            _ => {}
        }
    }
    Some(link)
}

/// All interfaces of this namespace.
pub(crate) fn all(socket: &Socket) -> Result<Vec<Link>, Refused> {
    let found = socket.query(&Message::new(GETLINK, DUMP).raw(&link_header(0, 0)))?;
    Ok(found
        .iter()
        .filter_map(|payload| parse_link(payload))
        .collect())
}

/// All addresses of this namespace, each with its interface.
pub(crate) fn addresses(socket: &Socket) -> Result<Vec<(u32, IpNet)>, Refused> {
    let mut header = [0; 8];
    header[0] = AF_UNSPEC;
    let found = socket.query(&Message::new(GETADDR, DUMP).raw(&header))?;
    Ok(found
        .iter()
        .filter_map(|payload| parse_address(payload))
        .collect())
}

fn parse_address(payload: &[u8]) -> Option<(u32, IpNet)> {
    let prefix = *payload.get(1)?;
    let index = u32_of(payload.get(4..8)?)?;
    let facts = payload.get(8..)?;
    // IPv6 names the local address only where it is not the interface's own.
    let local = attribute(facts, IFA_LOCAL).or_else(|| attribute(facts, IFA_ADDRESS))?;
    Some((index, IpNet::new(address_of(local)?, prefix).ok()?))
}

/// A route of the main table; the default route has prefix length zero.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) destination: IpNet,
    pub(crate) interface: Option<u32>,
    pub(crate) metric: u32,
}

/// The main table's routes, of both families.
pub(crate) fn routes(socket: &Socket) -> Result<Vec<Route>, Refused> {
    let mut routes = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let mut header = [0; 12];
        header[0] = family;
        let found = socket.query(&Message::new(GETROUTE, DUMP).raw(&header))?;
        routes.extend(found.iter().filter_map(|payload| parse_route(payload)));
    }
    Ok(routes)
}

fn parse_route(payload: &[u8]) -> Option<Route> {
    if *payload.get(4)? != TABLE_MAIN {
        return None;
    }
    let mut destination = match *payload.first()? {
        AF_INET => IpAddr::from([0; 4]),
        _ => IpAddr::from([0; 16]),
    };
    let (mut interface, mut metric) = (None, 0);
    for (kind, value) in attributes(payload.get(12..)?) {
        match kind {
            RTA_DST => destination = address_of(value)?,
            RTA_OIF => interface = u32_of(value),
            RTA_PRIORITY => metric = u32_of(value)?,
            _ => {}
        }
    }
    Some(Route {
        destination: IpNet::new(destination, payload[1]).ok()?,
        interface,
        metric,
    })
}

fn u32_of(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(<[u8; 4]>::try_from(bytes).ok()?.into()),
        16 => Some(<[u8; 16]>::try_from(bytes).ok()?.into()),
        _ => None,
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .trim_end_matches('\0')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hardware_address_is_the_one_docker_derives() {
        assert_eq!(
            mac_text(mac_of("172.17.0.2".parse().unwrap())),
            "02:42:ac:11:00:02"
        );
    }
}
