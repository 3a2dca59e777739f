//! Published ports as they are shown: `port`, and the PORTS column of `ps`.

use api::container::Port;
use api::network::PortMap;

/// `host:port`, with brackets around IPv6 addresses.
fn join(host: &str, port: &str) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The lines of `port CONTAINER`, in the order of their numbers.
pub(crate) fn mappings(ports: &PortMap) -> Vec<String> {
    let mut lines: Vec<(u16, String)> = Vec::new();
    for (inside, bindings) in ports {
        let number = inside.split('/').next().and_then(|text| text.parse().ok());
        for binding in bindings.iter().flatten() {
            let outside = join(&binding.host_ip, &binding.host_port);
            lines.push((number.unwrap_or(0), format!("{inside} -> {outside}")));
        }
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Where one port of a container is published; `None`: it is not.
pub(crate) fn of(ports: &PortMap, port: &str) -> Option<Vec<String>> {
    let bindings = ports.get(port)?.as_ref()?;
    let mut lines: Vec<String> = bindings
        .iter()
        .map(|binding| join(&binding.host_ip, &binding.host_port))
        .collect();
    lines.sort();
    (!lines.is_empty()).then_some(lines)
}

/// Ports in a row that are published as themselves.
struct Group {
    ip: String,
    kind: String,
    first: u16,
    last: u16,
}

impl Group {
    fn text(&self) -> String {
        let range = if self.first == self.last {
            self.first.to_string()
        } else {
            format!("{}-{}", self.first, self.last)
        };
        if self.ip.is_empty() {
            format!("{range}/{}", self.kind)
        } else {
            format!("{}->{range}/{}", join(&self.ip, &range), self.kind)
        }
    }
}

/// The PORTS column: Docker's order, and its way of writing neighbours as ranges.
pub(crate) fn column(ports: &[Port]) -> String {
    let mut ports: Vec<&Port> = ports.iter().collect();
    ports.sort_by(|a, b| {
        let key = |port: &Port| (port.private_port, port.ip.clone(), port.public_port);
        (key(a), &a.kind).cmp(&(key(b), &b.kind))
    });
    let (mut shown, mut elsewhere, mut groups) = (Vec::new(), Vec::new(), Vec::<Group>::new());
    for port in ports {
        if !port.ip.is_empty() && port.public_port != port.private_port {
            let outside = join(&port.ip, &port.public_port.to_string());
            elsewhere.push(format!("{outside}->{}/{}", port.private_port, port.kind));
            continue;
        }
        let started = groups
            .iter_mut()
            .find(|group| group.ip == port.ip && group.kind == port.kind);
        match started {
            None => groups.push(Group {
                ip: port.ip.clone(),
                kind: port.kind.clone(),
                first: port.private_port,
                last: port.private_port,
            }),
            Some(group) if group.last.checked_add(1) == Some(port.private_port) => {
                group.last = port.private_port;
            }
            Some(group) => {
                shown.push(group.text());
                (group.first, group.last) = (port.private_port, port.private_port);
            }
        }
    }
    shown.extend(groups.iter().map(Group::text));
    shown.extend(elsewhere);
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use api::network::PortBinding;

    use super::*;

    fn port(ip: &str, public: u16, private: u16, kind: &str) -> Port {
        Port {
            ip: ip.to_owned(),
            private_port: private,
            public_port: public,
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn neighbours_are_written_as_a_range() {
        let check = |ports: &[Port], expected: &str| assert_eq!(column(ports), expected);
        check(&[], "");
        check(&[port("", 0, 80, "tcp")], "80/tcp");
        check(
            &[
                port("0.0.0.0", 8080, 80, "tcp"),
                port("::", 8080, 80, "tcp"),
            ],
            "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
        );
        check(
            &[
                port("0.0.0.0", 81, 81, "tcp"),
                port("0.0.0.0", 80, 80, "tcp"),
                port("0.0.0.0", 82, 82, "tcp"),
                port("0.0.0.0", 90, 90, "tcp"),
                port("0.0.0.0", 80, 80, "udp"),
                port("", 0, 443, "tcp"),
                port("127.0.0.1", 9000, 70, "tcp"),
            ],
            "0.0.0.0:80-82->80-82/tcp, 0.0.0.0:90->90/tcp, 0.0.0.0:80->80/udp, 443/tcp, 127.0.0.1:9000->70/tcp",
        );
    }

    #[test]
    fn mappings_come_by_number() {
        let bound = |port: &str| {
            Some(vec![
                PortBinding {
                    host_ip: "::".to_owned(),
                    host_port: port.to_owned(),
                },
                PortBinding {
                    host_ip: "0.0.0.0".to_owned(),
                    host_port: port.to_owned(),
                },
            ])
        };
        let ports = PortMap::from([
            ("443/tcp".to_owned(), bound("8443")),
            ("80/tcp".to_owned(), bound("8080")),
            ("1/udp".to_owned(), None),
        ]);
        assert_eq!(
            mappings(&ports),
            [
                "80/tcp -> 0.0.0.0:8080",
                "80/tcp -> [::]:8080",
                "443/tcp -> 0.0.0.0:8443",
                "443/tcp -> [::]:8443"
            ]
        );
        assert_eq!(of(&ports, "80/tcp").unwrap(), ["0.0.0.0:8080", "[::]:8080"]);
        assert_eq!(of(&ports, "1/udp"), None);
        assert_eq!(of(&ports, "2/udp"), None);
    }
}
