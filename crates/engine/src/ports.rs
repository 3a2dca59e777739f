//! A container's published ports: what it asks for, when it gets it, and when it is let go of.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use network::{Endpoint, GatewayMode, Opening, Port, PortRequest, Protocol, Target};
use stdx::Undo;

use crate::container::Container;
use crate::container::record::Record;
use crate::{Engine, Error, Result};

/// What a container asks for: the ports it names, and with `--publish-all` all that are exposed beside them.
fn requests(record: &Record) -> Vec<PortRequest> {
    let mut requests = record.spec.ports.clone();
    if record.spec.publish_all {
        let exposed = record.effective.exposed_ports.iter();
        for (container, protocol) in exposed.filter_map(|text| parse(text)) {
            let named = requests
                .iter()
                .any(|one| (one.container, one.protocol) == (container, protocol));
            if !named {
                requests.push(PortRequest {
                    container,
                    protocol,
                    host: None,
                    ports: None,
                });
            }
        }
    }
    requests
}

/// `80/tcp`, as it is exposed.
pub(crate) fn parse(text: &str) -> Option<(u16, Protocol)> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return None,
    };
    Some((number.parse().ok()?, protocol))
}

/// The endpoint on a bridge that published ports of a family lead to: the one that its answers leave by. From another one
/// they would have a source that the host does not expect there, and drops where it filters by reverse paths.
fn endpoint_of(endpoints: &[Endpoint], six: bool) -> Option<&Endpoint> {
    let on_bridges = endpoints
        .iter()
        .filter(|one| !one.host_interface.is_empty());
    network::way_out(on_bridges, six)
}

/// The endpoint that published ports lead to; that of IPv4, where there is another one for each family.
pub(crate) fn endpoint(endpoints: &[Endpoint]) -> Option<&Endpoint> {
    endpoint_of(endpoints, false).or_else(|| endpoint_of(endpoints, true))
}

fn target(engine: &Engine, endpoints: &[Endpoint]) -> Target {
    let (four, six) = (endpoint_of(endpoints, false), endpoint_of(endpoints, true));
    Target {
        v4: four.and_then(|one| one.ipv4).map(|net| net.addr()),
        v6: six.and_then(|one| one.ipv6).map(|net| net.addr()),
        routed: [
            four.is_some_and(|one| is_routed(engine, one)[0]),
            six.is_some_and(|one| is_routed(engine, one)[1]),
        ],
    }
}

/// Whether a place is reached at its own IPv4 address, at its own IPv6 address.
fn is_routed(engine: &Engine, endpoint: &Endpoint) -> [bool; 2] {
    let modes = engine.networks.gateway_modes(endpoint);
    modes.map(|mode| mode == GatewayMode::Routed)
}

/// What neighbours may reach at the container's own addresses, on each of its networks in routed mode.
fn openings(engine: &Engine, record: &Record, endpoints: &[Endpoint]) -> Vec<Opening> {
    let requests = requests(record);
    if requests.is_empty() {
        return Vec::new();
    }
    let mut openings = Vec::new();
    for endpoint in endpoints {
        let routed = is_routed(engine, endpoint);
        let addresses = endpoint
            .addresses()
            .filter(|address| routed[usize::from(address.is_ipv6())]);
        for address in addresses {
            let of_family = requests.iter().filter(|request| {
                request
                    .host
                    .is_none_or(|host| host.is_ipv4() == address.is_ipv4())
            });
            openings.extend(of_family.map(|request| Opening {
                address,
                protocol: request.protocol,
                port: request.container,
            }));
        }
    }
    openings.sort_by_key(|one| (one.address, one.protocol, one.port));
    openings.dedup();
    openings
}

/// Publishes what a container that is being started asks for. Most ask for nothing, and pay nothing.
pub(crate) fn publish(
    engine: &Arc<Engine>,
    container: &Container,
    endpoints: &[Endpoint],
    undo: &mut Undo<'static>,
) -> Result<Vec<Port>> {
    let now = container.now();
    let requests = requests(&now.record);
    let openings = openings(engine, &now.record, endpoints);
    if !openings.is_empty() {
        let (opened, id) = (engine.clone(), container.id.clone());
        undo.push("close ports", move || {
            let closed = opened.networks.open_ports(&id, Vec::new);
            closed.map_err(|error| error.to_string())
        });
        engine.networks.open_ports(&container.id, || openings)?;
    }
    let Some(endpoint) = endpoint(endpoints).filter(|_| !requests.is_empty()) else {
        return Ok(Vec::new());
    };
    let target = target(engine, endpoints);
    let ports = engine
        .ports
        .publish(&engine.keeper, &container.id, target, &requests)
        .map_err(|error| Error::Connectivity {
            name: now.name.to_string(),
            endpoint: endpoint.id.clone(),
            error: Box::new(error),
        })?;
    engine.netd.notify_one();
    engine.say_that_ports_are_relayed();
    let (engine, id) = (engine.clone(), container.id.clone());
    undo.push("release ports", move || {
        let released = engine.ports.unpublish(&engine.keeper, &id);
        released.map_err(|error| error.to_string())
    });
    Ok(ports)
}

/// Lets go of a container's ports.
pub(crate) fn unpublish(engine: &Engine, id: &str) {
    if let Err(error) = engine.networks.open_ports(id, Vec::new) {
        tracing::warn!(container = %id, %error, "close published ports");
    }
    if let Err(error) = engine.ports.unpublish(&engine.keeper, id) {
        tracing::warn!(container = %id, %error, "release published ports");
    }
}

/// A running container has other places: its ports lead to the one that leads out.
pub(crate) fn retarget(engine: &Engine, container: &Container) {
    // A container that has ended meanwhile has none: theirs were closed, and nobody would close these.
    let look = || {
        let now = container.now();
        if now.goes_on() {
            openings(engine, &now.record, &now.endpoints)
        } else {
            Vec::new()
        }
    };
    if let Err(error) = engine.networks.open_ports(&container.id, look) {
        tracing::warn!(container = %container.id, %error, "open published ports elsewhere");
    }
    let now = container.now();
    if now.ports.is_empty() {
        return;
    }
    let target = target(engine, &now.endpoints);
    if let Err(error) = engine.ports.retarget(&engine.keeper, &container.id, target) {
        tracing::warn!(container = %container.id, %error, "lead published ports elsewhere");
    }
}

/// A container that an earlier daemon started keeps its ports.
pub(crate) fn adopt(engine: &Engine, record: &Record, endpoints: &[Endpoint], ports: &[Port]) {
    let id = &record.id;
    let look = || openings(engine, record, endpoints);
    if let Err(error) = engine.networks.open_ports(id, look) {
        tracing::warn!(container = %id, %error, "open published ports");
    }
    if endpoint(endpoints).is_some() && !ports.is_empty() {
        engine.ports.adopt(id, target(engine, endpoints), ports);
    }
}

/// Makes rules and netd agree with what is published: after a start of the daemon, an end of netd, a flush of the rules.
pub(crate) fn restore(engine: &Engine) {
    if let Err(error) = engine.ports.restore() {
        tracing::warn!(%error, "restore the rules of published ports");
    }
    hand_over(engine);
}

/// Gives netd what it should hold and does not.
pub(crate) fn hand_over(engine: &Engine) {
    let namespace = |id: &str| namespace(engine, id);
    for warning in engine
        .ports
        .hand_over(&engine.keeper, &engine.names, namespace)
    {
        tracing::warn!("{warning}");
    }
}

/// The network namespace of a container that runs.
fn namespace(engine: &Engine, id: &str) -> Option<OwnedFd> {
    let pid = engine.containers.find(id).ok()?.now().state.pid();
    let file = File::open(format!("/proc/{pid}/ns/net")).ok()?;
    Some(file.into())
}

impl Engine {
    /// Once in a daemon's life, and only where somebody publishes something.
    fn say_that_ports_are_relayed(&self) {
        static SAID: std::sync::Once = std::sync::Once::new();
        if self.ports.relays() {
            SAID.call_once(|| {
                tracing::warn!(
                    "the kernel cannot translate addresses (nftables): published ports are relayed by a process, and containers \
                     see the bridge's address instead of their clients'"
                );
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(network: &str, out: bool, priority: i64) -> Endpoint {
        Endpoint {
            network: network.to_owned(),
            host_interface: "veth".to_owned(),
            gateway4: out.then_some([10, 0, 0, 1].into()),
            priority,
            ..Endpoint::default()
        }
    }

    #[test]
    fn ports_lead_to_the_endpoint_on_a_bridge_that_answers_leave_by() {
        let chosen = |places: &[Endpoint]| endpoint(places).map(|one| one.network.clone());
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[place("internal", false, 9)]), None);
        let beside = Endpoint {
            host_interface: String::new(),
            ..place("a", true, 9)
        };
        let zeta = place("zeta", true, 0);
        let places = [place("internal", false, 0), beside, zeta.clone()];
        assert_eq!(chosen(&places).as_deref(), Some("zeta"));
        let places = [zeta.clone(), place("alpha", true, 0)];
        assert_eq!(chosen(&places).as_deref(), Some("alpha"));
        let both = Endpoint {
            gateway6: Some(std::net::Ipv6Addr::LOCALHOST),
            ..zeta
        };
        let places = [both, place("alpha", true, 0)];
        assert_eq!(chosen(&places).as_deref(), Some("zeta"));
        let places = [place("alpha", true, 0), place("zeta", true, 1)];
        assert_eq!(chosen(&places).as_deref(), Some("zeta"));
    }

    #[test]
    fn each_familys_ports_lead_to_an_endpoint_with_a_gateway_of_it() {
        let six = Endpoint {
            gateway4: None,
            gateway6: Some(std::net::Ipv6Addr::LOCALHOST),
            ..place("six", true, 0)
        };
        let places = [six, place("zeta", true, 0)];
        let chosen = |six| endpoint_of(&places, six).map(|one| one.network.as_str());
        assert_eq!((chosen(false), chosen(true)), (Some("zeta"), Some("six")));
    }

    #[test]
    fn exposed_ports_are_read() {
        assert_eq!(parse("80/tcp"), Some((80, Protocol::Tcp)));
        assert_eq!(parse("53/udp"), Some((53, Protocol::Udp)));
        assert_eq!(parse("53"), Some((53, Protocol::Tcp)));
        assert_eq!(parse("x/tcp"), None);
        assert_eq!(parse("1/icmp"), None);
    }
}
