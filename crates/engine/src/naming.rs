//! What a container is called on its networks, and what its resolver sees: there is one where it has a place on a network
//! that somebody made. The default bridge has no names, as in Docker.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use network::{Endpoint, Member, Naming, View};
use stdx::Undo;

use crate::container::spec::NetworkMode;
use crate::container::{Container, Published, Spec};
use crate::{Engine, Result, ports};

/// What Docker Desktop's users know the host by.
const HOST: &str = "host.docker.internal";

/// The lines of the hosts file with the host's name, for a container without a resolver of its own: one, and in the host's
/// own network what the host's file has before it.
pub(crate) fn host_line(
    engine: &Engine,
    spec: &Spec,
    endpoints: &[Endpoint],
) -> Vec<(String, String)> {
    let named = |line: &String| {
        let rest = line.strip_prefix(HOST);
        rest.is_some_and(|rest| rest.starts_with([':', '=']))
    };
    if !engine.config.host_in_hosts
        || resolves(engine, endpoints)
        || spec.extra_hosts.iter().any(named)
    {
        return Vec::new();
    }
    if spec.network == NetworkMode::Host {
        return host_file(spec);
    }
    let gateway = ports::endpoint(endpoints).and_then(|out| out.gateway4);
    let line = gateway.map(|gateway| (HOST.to_owned(), gateway.to_string()));
    line.into_iter().collect()
}

/// There the host is reached as it reaches itself. Its own entries come with it, but not beside those that were asked for,
/// as in Docker.
fn host_file(spec: &Spec) -> Vec<(String, String)> {
    let mut lines = if spec.extra_hosts.is_empty() {
        network::hosts_entries(&std::fs::read_to_string("/etc/hosts").unwrap_or_default())
    } else {
        Vec::new()
    };
    let is_named = |(names, _): &(String, String)| names.split(' ').any(|name| name == HOST);
    if !lines.iter().any(is_named) {
        lines.push((HOST.to_owned(), Ipv4Addr::LOCALHOST.to_string()));
    }
    lines
}

/// Makes a container that is being started known, and gives it its resolver.
pub(crate) fn start(
    engine: &Arc<Engine>,
    container: &Container,
    endpoints: &[Endpoint],
    netns: Option<&OwnedFd>,
    undo: &mut Undo<'static>,
) -> Result<()> {
    let naming = of(engine, &container.now(), endpoints);
    if naming.members.is_empty() {
        return Ok(());
    }
    let id = container.id.clone();
    let undoing = engine.clone();
    undo.push("forget names", move || {
        let forgotten = undoing.names.forget(&undoing.keeper, &id);
        forgotten.map_err(|error| error.to_string())
    });
    let names = &engine.names;
    names.set(&engine.keeper, &container.id, netns, || Some(naming))?;
    engine.netd.notify_one();
    tell_linking(engine, container);
    Ok(())
}

/// A running container has another name, or other networks. `netns`: for a resolver that it may need now.
pub(crate) fn update(engine: &Engine, container: &Container, netns: Option<&OwnedFd>) {
    tell(engine, container, netns);
    tell_linking(engine, container);
}

/// Those that run and link to a container by a name that it has only now: a target may come later than its link.
fn tell_linking(engine: &Engine, target: &Container) {
    for other in engine.containers.all() {
        let mut asked = other.attachments.iter().flat_map(|one| &one.settings.links);
        let links = other.state.is_running()
            && asked.any(|link| {
                let name = link.split_once(':').map_or(link.as_str(), |(name, _)| name);
                engine
                    .containers
                    .find(name)
                    .is_ok_and(|found| found.id == target.id)
            });
        if links && let Ok(container) = engine.containers.find(other.id()) {
            tell(engine, &container, None);
        }
    }
}

fn tell(engine: &Engine, container: &Container, netns: Option<&OwnedFd>) {
    // Looked at only when it is told, or it could have ended, and been forgotten, in between.
    let look = || {
        let now = container.now();
        now.goes_on().then(|| of(engine, &now, &now.endpoints))
    };
    let names = &engine.names;
    match names.set(&engine.keeper, &container.id, netns, look) {
        Ok(()) => engine.netd.notify_one(),
        Err(error) => tracing::warn!(container = %container.id, %error, "tell a container's names"),
    }
}

/// A container has ended.
pub(crate) fn forget(engine: &Engine, id: &str) {
    if let Err(error) = engine.names.forget(&engine.keeper, id) {
        tracing::warn!(container = %id, %error, "forget a container's names");
    }
}

/// A container that an earlier daemon started keeps its names.
pub(crate) fn adopt(engine: &Engine, container: &Container, endpoints: &[Endpoint]) {
    let naming = of(engine, &container.now(), endpoints);
    if !naming.members.is_empty() {
        engine.names.adopt(&container.id, naming);
    }
}

/// Whether a container with these places has a resolver of its own.
pub(crate) fn resolves(engine: &Engine, endpoints: &[Endpoint]) -> bool {
    endpoints.iter().any(|endpoint| is_named(engine, endpoint))
}

fn is_named(engine: &Engine, endpoint: &Endpoint) -> bool {
    !endpoint.interface.is_empty()
        && engine
            .networks
            .find(&endpoint.network_id)
            .is_ok_and(|network| !network.is_predefined())
}

fn of(engine: &Engine, now: &Published, endpoints: &[Endpoint]) -> Naming {
    let named: Vec<&Endpoint> = endpoints
        .iter()
        .filter(|endpoint| is_named(engine, endpoint))
        .collect();
    if named.is_empty() {
        return Naming::default();
    }
    let member = |endpoint: &&Endpoint| {
        let member = Member {
            container: now.id().to_owned(),
            names: names(now, endpoint),
            domain: endpoint.network.clone(),
            addresses: endpoint.addresses().collect(),
        };
        (endpoint.network_id.clone(), member)
    };
    let members = named.iter().map(member).collect();
    Naming {
        view: Some(view(engine, now, endpoints, &named)),
        members,
    }
}

/// What it is called there: its name first.
fn names(now: &Published, endpoint: &Endpoint) -> Vec<String> {
    let mut attachments = now.attachments.iter();
    let aliases = attachments
        .find(|one| is_of(one, endpoint))
        .map_or(&[][..], |one| &one.settings.aliases);
    crate::ops::network::names::of(now, aliases)
}

fn is_of(attachment: &network::Attachment, endpoint: &Endpoint) -> bool {
    attachment.network_id == endpoint.network_id || attachment.network == endpoint.network
}

fn view(engine: &Engine, now: &Published, endpoints: &[Endpoint], named: &[&Endpoint]) -> View {
    let mut networks = named.to_vec();
    networks.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.priority));
    let host = host_addresses(engine, endpoints);
    let own = (!host.is_empty()).then(|| (HOST.to_owned(), host));
    let leads_out = |one: &Endpoint| one.gateway4.is_some() || one.gateway6.is_some() || one.direct;
    let servers = &now.record.spec.dns.servers;
    // They are asked from inside, where this one is netd itself.
    let others = servers.iter().filter(|one| **one != network::RESOLVER);
    View {
        networks: networks
            .into_iter()
            .map(|endpoint| endpoint.network_id.clone())
            .collect(),
        own: own.into_iter().collect(),
        links: links(engine, now),
        servers: (!servers.is_empty()).then(|| others.copied().collect()),
        internal: !endpoints.iter().any(leads_out),
    }
}

/// Where a container reaches the host: on its way out, else on an internal network.
fn host_addresses(engine: &Engine, endpoints: &[Endpoint]) -> Vec<IpAddr> {
    if let Some(out) = ports::endpoint(endpoints) {
        let four = out.gateway4.map(IpAddr::V4);
        return four
            .into_iter()
            .chain(out.gateway6.map(IpAddr::V6))
            .collect();
    }
    let bridges = endpoints
        .iter()
        .filter(|one| !one.host_interface.is_empty());
    let networks = bridges.filter_map(|one| engine.networks.find(&one.network_id).ok());
    let addresses = networks.filter_map(|network| Some(network.bridge().ok()?.host_addresses()));
    addresses
        .into_iter()
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// `--link`: what only this container calls others.
fn links(engine: &Engine, now: &Published) -> Vec<(String, String)> {
    let asked = now.attachments.iter().flat_map(|one| &one.settings.links);
    asked
        .filter_map(|link| {
            let (name, alias) = link.split_once(':').unwrap_or((link, link));
            let other = engine.containers.find(name).ok()?;
            Some((alias.to_ascii_lowercase(), other.id.clone()))
        })
        .collect()
}
