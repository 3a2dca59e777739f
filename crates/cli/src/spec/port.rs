//! `--publish` and `--expose`.

use api::config::{Empty, Set};
use api::network::{PortBinding, PortMap};

use crate::flags::Given;
use crate::report::Failure;

/// The bindings, and all ports that are exposed by them or by themselves.
pub(crate) fn parse_all(given: &Given) -> Result<(PortMap, Set), Failure> {
    let mut bindings = PortMap::new();
    let mut exposed = Set::new();
    for text in given.list("publish") {
        let text = short_form(&text).map_err(Failure::new)?;
        publish(&text, &mut bindings).map_err(Failure::new)?;
    }
    for port in bindings.keys() {
        exposed.insert(port.clone(), Empty {});
    }
    for text in given.list("expose") {
        let (ports, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
        let range = range(ports).ok_or_else(|| {
            Failure::new(format!(
                "invalid range format for --expose: {ports}, error: invalid syntax"
            ))
        })?;
        exposed.extend(range.map(|port| (format!("{port}/{protocol}"), Empty {})));
    }
    Ok((bindings, exposed))
}

/// `published=8080,target=80,protocol=udp` as it is written otherwise.
fn short_form(text: &str) -> Result<String, String> {
    if !text.contains('=') {
        return Ok(text.to_owned());
    }
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for option in text.split(',') {
        match option.split_once('=') {
            Some(("published", value)) => published = value,
            Some(("target", value)) => target = value,
            Some(("protocol", value)) => protocol = value,
            Some((name, _)) if !name.is_empty() => {}
            _ => {
                return Err(format!(
                    "invalid publish opts format (should be name=value but got '{option}')"
                ));
            }
        }
    }
    Ok(format!("{published}:{target}/{protocol}"))
}

/// `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, ports or ranges of equal length.
fn publish(text: &str, bindings: &mut PortMap) -> Result<(), String> {
    let (address, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let (rest, container) = address.rsplit_once(':').unwrap_or(("", address));
    let (ip, host) = rest.rsplit_once(':').unwrap_or(("", rest));
    let ip = ip
        .strip_prefix('[')
        .and_then(|ip| ip.strip_suffix(']'))
        .unwrap_or(ip);
    if container.is_empty() {
        return Err(format!("no port specified: {text}<empty>"));
    }
    if !["tcp", "udp", "sctp"].contains(&protocol.to_ascii_lowercase().as_str()) {
        return Err(format!("invalid proto: {protocol}"));
    }
    if !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("invalid IP address: {ip}"));
    }
    let containers =
        range(container).ok_or_else(|| format!("invalid containerPort: {container}"))?;
    let hosts = if host.is_empty() {
        None
    } else {
        Some(range(host).ok_or_else(|| format!("invalid hostPort: {host}"))?)
    };
    if hosts
        .as_ref()
        .is_some_and(|hosts| hosts.len() != containers.len() && containers.len() != 1)
    {
        return Err(format!(
            "invalid ranges specified for container and host Ports: {container} and {host}"
        ));
    }
    let first = containers.clone().next().unwrap_or(0);
    for port in containers.clone() {
        let host_port = match &hosts {
            None => String::new(),
            Some(_) if containers.len() == 1 => host.to_owned(),
            Some(hosts) => (hosts.start() + (port - first)).to_string(),
        };
        bindings
            .entry(format!("{port}/{}", protocol.to_ascii_lowercase()))
            .or_default()
            .get_or_insert_default()
            .push(PortBinding {
                host_ip: ip.to_owned(),
                host_port,
            });
    }
    Ok(())
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(first..=last)
}
