//! Ports of a create request to what the engine publishes, and back to what clients are shown.

use api::container::Port as WirePort;
use api::host_config::HostConfig;
use api::network::{PortBinding, PortMap};
use engine::container::Published;
use network::{PortRequest, Protocol};

use super::invalid;
use crate::error::{Error, Result};

/// `--publish`.
pub(super) fn requests(host: &HostConfig) -> Result<Vec<PortRequest>> {
    let mut requests = Vec::new();
    for (port, bindings) in host.port_bindings.iter().flatten() {
        let (containers, protocol) = parse(port)?;
        let [container] = containers[..] else {
            return invalid(format!("invalid port specification: {port:?}"));
        };
        for binding in bindings.iter().flatten() {
            requests.push(PortRequest {
                container,
                protocol,
                host: host_address(&binding.host_ip)?,
                ports: host_ports(&binding.host_port)?,
            });
        }
    }
    Ok(requests)
}

/// `--expose`, ranges written out.
pub(super) fn exposed<'a>(ports: impl Iterator<Item = &'a String>) -> Result<Vec<String>> {
    let mut exposed = Vec::new();
    for port in ports {
        let (numbers, protocol) = parse(port)?;
        exposed.extend(
            numbers
                .iter()
                .map(|number| format!("{number}/{}", protocol.name())),
        );
    }
    Ok(exposed)
}

fn parse(text: &str) -> Result<(Vec<u16>, Protocol)> {
    let wrong = || Error::Invalid(format!("invalid port specification: {text:?}"));
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err(wrong()),
    };
    let (first, last) = range(numbers).ok_or_else(wrong)?;
    if first == 0 {
        return Err(wrong());
    }
    Ok(((first..=last).collect(), protocol))
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

fn host_address(text: &str) -> Result<Option<std::net::IpAddr>> {
    let bare = text.trim_matches(['[', ']']);
    if bare.is_empty() {
        return Ok(None);
    }
    let address = bare.parse();
    address
        .map(Some)
        .map_err(|_| Error::Invalid(format!("invalid IP address: {text}")))
}

/// Nothing, or zero: any port.
fn host_ports(text: &str) -> Result<Option<(u16, u16)>> {
    if matches!(text, "" | "0") {
        return Ok(None);
    }
    let found = range(text).filter(|(first, _)| *first > 0);
    found
        .map(Some)
        .ok_or_else(|| Error::Invalid(format!("invalid port specification: {text:?}")))
}

/// `NetworkSettings.Ports`: what is exposed, with `null` unless it is published.
pub(super) fn map(published: &Published) -> PortMap {
    let mut map = PortMap::new();
    if !published.reaches_out() {
        return map;
    }
    for port in &published.record.effective.exposed_ports {
        map.insert(port.clone(), None);
    }
    for port in &published.ports {
        let inside = format!("{}/{}", port.container, port.protocol.name());
        map.entry(inside)
            .or_default()
            .get_or_insert_default()
            .push(PortBinding {
                host_ip: port.host.to_string(),
                // What is reached at the container's own address has no port of the host.
                host_port: if port.port == 0 {
                    String::new()
                } else {
                    port.port.to_string()
                },
            });
    }
    map
}

/// The same as a list.
pub(super) fn list(published: &Published) -> Vec<WirePort> {
    let mut list = Vec::new();
    for (inside, bindings) in map(published) {
        let (number, kind) = inside.split_once('/').unwrap_or((&inside, "tcp"));
        let port = WirePort {
            private_port: number.parse().unwrap_or(0),
            kind: kind.to_owned(),
            ..WirePort::default()
        };
        match bindings {
            None => list.push(port),
            Some(bindings) => {
                let (on_host, own): (Vec<_>, Vec<_>) = bindings
                    .into_iter()
                    .partition(|binding| !binding.host_port.is_empty());
                if !own.is_empty() {
                    list.push(port.clone());
                }
                list.extend(on_host.into_iter().map(|binding| WirePort {
                    ip: binding.host_ip,
                    public_port: binding.host_port.parse().unwrap_or(0),
                    ..port.clone()
                }));
            }
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(port: &str, ip: &str, host_port: &str) -> HostConfig {
        let binding = PortBinding {
            host_ip: ip.to_owned(),
            host_port: host_port.to_owned(),
        };
        HostConfig {
            port_bindings: Some(PortMap::from([(port.to_owned(), Some(vec![binding]))])),
            ..HostConfig::default()
        }
    }

    #[test]
    fn bindings_are_read() {
        let check =
            |port, ip, host_port, expected: (u16, Protocol, Option<&str>, Option<(u16, u16)>)| {
                let found = requests(&host(port, ip, host_port)).unwrap()[0];
                let (container, protocol, host, ports) = expected;
                assert_eq!((found.container, found.protocol), (container, protocol));
                assert_eq!(found.host, host.map(|text| text.parse().unwrap()));
                assert_eq!(found.ports, ports);
            };
        check("80/tcp", "", "", (80, Protocol::Tcp, None, None));
        check(
            "80",
            "0.0.0.0",
            "0",
            (80, Protocol::Tcp, Some("0.0.0.0"), None),
        );
        check(
            "53/udp",
            "::1",
            "5353",
            (53, Protocol::Udp, Some("::1"), Some((5353, 5353))),
        );
        check(
            "7/sctp",
            "[::]",
            "8000-8010",
            (7, Protocol::Sctp, Some("::"), Some((8000, 8010))),
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for (port, ip, host_port) in [
            ("0/tcp", "", ""),
            ("80/icmp", "", ""),
            ("80-81/tcp", "", ""),
            ("80/tcp", "localhost", ""),
            ("80/tcp", "", "99999"),
            ("80/tcp", "", "20-10"),
            ("", "", ""),
        ] {
            assert!(
                requests(&host(port, ip, host_port)).is_err(),
                "{port} {ip} {host_port}"
            );
        }
    }
}
