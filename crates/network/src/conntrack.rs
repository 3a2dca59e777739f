//! Where datagrams were led before: forgotten where a port leads elsewhere now.
//!
//! The kernel decides once for each client where its datagrams go, and keeps to it for as long as some come. A client that
//! speaks on from the same port would be led to an address that is another container's by now, or nobody's.

use std::net::IpAddr;

use sys::netlink::{ACK, DUMP, Message, Refused, Socket, attribute};

use crate::link::octets;
use crate::nft::Family;

const SUBSYSTEM: u16 = 1;
const GET: u16 = SUBSYSTEM << 8 | 1;
const DELETE: u16 = SUBSYSTEM << 8 | 2;
/// As the first packet had it, before anything was translated.
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const IP_V4_DESTINATION: u16 = 2;
const IP_V6_DESTINATION: u16 = 4;
const PROTOCOL_NUMBER: u16 = 1;
const PROTOCOL_DESTINATION: u16 = 3;
const UDP: u8 = 17;
/// Which parts of a tuple an entry must share to be listed (Linux 5.8).
const FILTER: u16 = 25;
const FILTER_ORIGINAL: u16 = 1;
const FILTER_DESTINATION: u32 = 1 << 1;
const FILTER_PROTOCOL: u32 = 1 << 3;
const FILTER_PORT: u32 = 1 << 5;

/// Forgets the ways of datagrams to these addresses and ports of the host; an unspecified address is any.
pub(crate) fn forget_datagrams(socket: &Socket, ports: &[(IpAddr, u16)]) -> Result<(), Refused> {
    for family in [Family::V4, Family::V6] {
        let of_family = ports.iter().filter(|(host, _)| Family::of(*host) == family);
        let of_family: Vec<(IpAddr, u16)> = of_family.copied().collect();
        if of_family.is_empty() {
            continue;
        }
        for entry in list(socket, family, &of_family)? {
            let Some(original) = entry
                .get(4..)
                .and_then(|facts| attribute(facts, TUPLE_ORIGINAL))
            else {
                continue;
            };
            let leads = |(address, port): (IpAddr, u16)| {
                of_family.iter().any(|(host, wanted)| {
                    *wanted == port && (host.is_unspecified() || *host == address)
                })
            };
            if destination(original).is_some_and(leads) {
                let delete = message(DELETE, ACK, family);
                match socket.transact(&[delete.nest(TUPLE_ORIGINAL, |m| m.raw(original))]) {
                    // It has ended meanwhile.
                    Err(refused) if refused.missing() => {}
                    other => other?,
                }
            }
        }
    }
    Ok(())
}

/// The entries of a family among which those to these ports are. A host may have a hundred thousand of others: the kernel
/// is asked for datagrams alone, and for those to the port if there is one. It goes through all of its table each time, so
/// that several ports are not asked for one by one.
fn list(socket: &Socket, family: Family, ports: &[(IpAddr, u16)]) -> Result<Vec<Vec<u8>>, Refused> {
    let port = match ports {
        [one] => Some(*one),
        _ => None,
    };
    match socket.query(&filtered(family, port)) {
        Ok(entries) => Ok(entries),
        // Kernels before 5.8 know no filter: most pass over it, as attributes of later kernels, and list all.
        Err(_) => socket.query(&message(GET, DUMP, family)),
    }
}

/// A request for datagrams, to one port or to any.
fn filtered(family: Family, port: Option<(IpAddr, u16)>) -> Message {
    let host = port
        .map(|(host, _)| host)
        .filter(|host| !host.is_unspecified());
    let mut parts = FILTER_PROTOCOL;
    let message = message(GET, DUMP, family).nest(TUPLE_ORIGINAL, |m| {
        let m = match host {
            Some(host) => {
                parts |= FILTER_DESTINATION;
                let kind = match host {
                    IpAddr::V4(_) => IP_V4_DESTINATION,
                    IpAddr::V6(_) => IP_V6_DESTINATION,
                };
                m.nest(TUPLE_IP, |m| m.attribute(kind, &octets(host)))
            }
            None => m,
        };
        m.nest(TUPLE_PROTOCOL, |m| {
            let m = m.attribute(PROTOCOL_NUMBER, &[UDP]);
            match port {
                Some((_, port)) => {
                    parts |= FILTER_PORT;
                    m.attribute(PROTOCOL_DESTINATION, &port.to_be_bytes())
                }
                None => m,
            }
        })
    });
    message.nest(FILTER, |m| {
        m.attribute(FILTER_ORIGINAL, &parts.to_ne_bytes())
    })
}

fn message(kind: u16, flags: u16, family: Family) -> Message {
    Message::new(kind, flags).raw(&[family.number(), 0, 0, 0])
}

/// Where a datagram went; nothing for other transports.
fn destination(original: &[u8]) -> Option<(IpAddr, u16)> {
    let protocol = attribute(original, TUPLE_PROTOCOL)?;
    if attribute(protocol, PROTOCOL_NUMBER)? != [UDP] {
        return None;
    }
    let port = u16::from_be_bytes(attribute(protocol, PROTOCOL_DESTINATION)?.try_into().ok()?);
    let ip = attribute(original, TUPLE_IP)?;
    let four = attribute(ip, IP_V4_DESTINATION).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    let six = attribute(ip, IP_V6_DESTINATION).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let address = four.map(IpAddr::from).or(six.map(IpAddr::from))?;
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use sys::netlink::{CREATE, EXCL, Protocol};
    use sys::netns;

    use super::*;

    const TUPLE_REPLY: u16 = 2;
    const TIMEOUT: u16 = 7;
    const TCP: u8 = 6;

    /// A connection from 192.0.2.9 or 2001:db8::9.
    fn begin(socket: &Socket, transport: u8, client: u16, to: (&str, u16)) {
        let host: IpAddr = to.0.parse().unwrap();
        let own = if host.is_ipv4() {
            "192.0.2.9"
        } else {
            "2001:db8::9"
        };
        let own: IpAddr = own.parse().unwrap();
        let first = if host.is_ipv4() { 1 } else { 3 };
        let tuple = |m: Message, from: (IpAddr, u16), to: (IpAddr, u16)| {
            m.nest(TUPLE_IP, |m| {
                m.attribute(first, &octets(from.0))
                    .attribute(first + 1, &octets(to.0))
            })
            .nest(TUPLE_PROTOCOL, |m| {
                m.attribute(PROTOCOL_NUMBER, &[transport])
                    .attribute(2, &from.1.to_be_bytes())
                    .attribute(PROTOCOL_DESTINATION, &to.1.to_be_bytes())
            })
        };
        let (client, server) = ((own, client), (host, to.1));
        let message = message(SUBSYSTEM << 8, ACK | CREATE | EXCL, Family::of(host))
            .nest(TUPLE_ORIGINAL, |m| tuple(m, client, server))
            .nest(TUPLE_REPLY, |m| tuple(m, server, client))
            .attribute(TIMEOUT, &600_u32.to_be_bytes());
        socket.transact(&[message]).unwrap();
    }

    fn left(socket: &Socket) -> Vec<(String, u16)> {
        let mut all = Vec::new();
        for family in [Family::V4, Family::V6] {
            for entry in socket.query(&message(GET, DUMP, family)).unwrap() {
                let original = attribute(&entry[4..], TUPLE_ORIGINAL).unwrap();
                let place = destination(original).map(|(ip, port)| (ip.to_string(), port));
                all.push(place.unwrap_or(("of another transport".to_owned(), 0)));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn datagrams_to_these_ports_are_forgotten_and_nothing_else() {
        let made = netns::create(|_| {
            let socket = Socket::open(Protocol::Netfilter).unwrap();
            let begin = |transport, client, to| begin(&socket, transport, client, to);
            for port in [53, 54] {
                begin(UDP, 1000, ("198.51.100.1", port));
                begin(UDP, 1001, ("198.51.100.2", port));
                begin(UDP, 1002, ("2001:db8::1", port));
            }
            begin(TCP, 1000, ("198.51.100.1", 53));
            let place = |host: &str, port| (host.to_owned(), port);
            let forget = |ports: &[(&str, u16)]| {
                let ports = ports
                    .iter()
                    .map(|(host, port)| (host.parse().unwrap(), *port));
                forget_datagrams(&socket, &ports.collect::<Vec<_>>()).unwrap();
                left(&socket)
            };
            // The kernel filters: by the address and the port, or by neither.
            let host = "198.51.100.1".parse().unwrap();
            let listed = |ports: &[_]| list(&socket, Family::V4, ports).unwrap().len();
            assert_eq!(listed(&[(host, 53)]), 1);
            assert_eq!(listed(&[("0.0.0.0".parse().unwrap(), 53)]), 2);
            assert_eq!(listed(&[(host, 53), (host, 54)]), 4);
            let mut expected = left(&socket);
            assert_eq!(expected.len(), 7);
            let mut gone = |places: &[(String, u16)]| {
                expected.retain(|one| !places.contains(one));
                expected.clone()
            };
            let found = forget(&[("198.51.100.1", 53)]);
            assert_eq!(found, gone(&[place("198.51.100.1", 53)]));
            let found = forget(&[("::", 54)]);
            assert_eq!(found, gone(&[place("2001:db8::1", 54)]));
            let found = forget(&[("0.0.0.0", 53), ("198.51.100.2", 54)]);
            let two = [place("198.51.100.2", 53), place("198.51.100.2", 54)];
            assert_eq!(found, gone(&two));
        });
        match made {
            Err(error)
                if error.kind() == std::io::ErrorKind::PermissionDenied
                    && std::env::var_os("REQUIRE_ROOT").is_none() => {}
            other => drop(other.unwrap()),
        }
    }
}
