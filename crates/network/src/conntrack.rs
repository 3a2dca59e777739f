//! Where datagrams were led before: forgotten where a port leads elsewhere now.
//!
//! The kernel decides once for each client where its datagrams go, and keeps to it for as long as some come. A client that
//! speaks on from the same port would be led to an address that is another container's by now, or nobody's.

use std::net::IpAddr;

use sys::netlink::{ACK, DUMP, Message, Refused, Socket, attributes};

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

/// Forgets the ways of datagrams to these addresses and ports of the host; an unspecified address is any.
pub(crate) fn forget_datagrams(socket: &Socket, ports: &[(IpAddr, u16)]) -> Result<(), Refused> {
    for (family, is_four) in [(2, true), (10, false)] {
        let of_family: Vec<_> = ports
            .iter()
            .filter(|(host, _)| host.is_ipv4() == is_four)
            .collect();
        if of_family.is_empty() {
            continue;
        }
        for entry in socket.query(&Message::new(GET, DUMP).raw(&[family, 0, 0, 0]))? {
            let Some(original) = entry.get(4..).and_then(|facts| find(facts, TUPLE_ORIGINAL))
            else {
                continue;
            };
            let leads = |(address, port): (IpAddr, u16)| {
                of_family.iter().any(|(host, wanted)| {
                    *wanted == port && (host.is_unspecified() || *host == address)
                })
            };
            if destination(original).is_some_and(leads) {
                let delete = Message::new(DELETE, ACK).raw(&[family, 0, 0, 0]);
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

/// Where a datagram went; nothing for other transports.
fn destination(original: &[u8]) -> Option<(IpAddr, u16)> {
    let protocol = find(original, TUPLE_PROTOCOL)?;
    if find(protocol, PROTOCOL_NUMBER)? != [UDP] {
        return None;
    }
    let port = u16::from_be_bytes(find(protocol, PROTOCOL_DESTINATION)?.try_into().ok()?);
    let ip = find(original, TUPLE_IP)?;
    let four = find(ip, IP_V4_DESTINATION).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    let six = find(ip, IP_V6_DESTINATION).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let address = four.map(IpAddr::from).or(six.map(IpAddr::from))?;
    Some((address, port))
}

fn find(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut found = attributes(bytes).filter(|(kind, _)| *kind == wanted);
    found.next().map(|(_, value)| value)
}
