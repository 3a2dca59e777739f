//! Published ports: one host port, one owner. A port is a socket bound in the host's namespace, held by netd; where the
//! kernel can translate, an element of the firewall's maps; else what netd relays.
//!
//! What is published is known here and noted in the containers' run records; netd and the rules are made from it again
//! whenever one of them is gone.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use netd::protocol::{self, Protocol, Request};
use serde::{Deserialize, Serialize};
use sys::netlink::{self, Socket};

use bind::{NotBound, bind, socket};

use crate::keeper::Keeper;
use crate::nat::{self, Translation};
use crate::nft::{self, Family};
use crate::{Error, Names, Result, conntrack};

mod bind;

/// A port that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRequest {
    /// The container's port.
    pub container: u16,
    /// The transport.
    pub protocol: Protocol,
    /// The host's address; `None`: all of them.
    pub host: Option<IpAddr>,
    /// The first free one of these; `None`: any that is free.
    pub ports: Option<(u16, u16)>,
}

/// A port that is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The container's port.
    pub container: u16,
    /// The transport.
    pub protocol: Protocol,
    /// The host's address.
    pub host: IpAddr,
    /// The host's port; 0: none, it is reached at the container's address.
    pub port: u16,
}

impl Port {
    /// It is a port of the host.
    fn is_bound(&self) -> bool {
        self.port != 0
    }
}

/// Where a container is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Its IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub v6: Option<Ipv6Addr>,
    /// It is reached at its own IPv4 address, at its own IPv6 address: there is no port of the host.
    pub routed: [bool; 2],
}

impl Target {
    /// The container's address for what comes to an address of the host: of the same family if it has one, and by IPv4,
    /// through netd, for what comes by IPv6.
    fn of(self, host: IpAddr) -> Option<IpAddr> {
        match host {
            IpAddr::V4(_) => self.v4.map(IpAddr::V4),
            IpAddr::V6(_) => self.v6.map(IpAddr::V6).or(self.v4.map(IpAddr::V4)),
        }
    }

    fn is_routed(self, address: IpAddr) -> bool {
        self.routed[usize::from(address.is_ipv6())]
    }

    /// A port that is reached at the container's address cannot be one of the host's, in Docker's words.
    fn check(self, request: &PortRequest) -> Result<()> {
        let Some((host, address)) = request
            .host
            .and_then(|host| Some((host, self.of(host)?)))
            .filter(|(host, address)| !host.is_unspecified() && self.is_routed(*address))
        else {
            return Ok(());
        };
        let (any, family) = if address.is_ipv4() {
            ("0.0.0.0", "IPv4")
        } else {
            ("[::]", "IPv6")
        };
        let (first, port) = (request.ports.map_or(0, |ports| ports.0), request.container);
        Err(Error::Invalid(format!(
            "NAT is disabled, omit host address in port mapping {host}:{first}:{address}:{port}/{}, or use {any}::{port} to open port {port} for {family}-only",
            request.protocol.name()
        )))
    }
}

/// All published ports of one engine.
#[derive(Debug)]
pub struct Ports {
    table: String,
    /// None without netfilter: then netd relays everything.
    filter: Option<Socket>,
    /// Nothing is translated though it could be: what netd relays passes the host's own input rules first.
    relayed: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<String, (Target, Vec<Port>)>,
    /// The families whose tables were made.
    installed: HashSet<Family>,
    /// The firewall's generation when the rules were last seen whole.
    looked_at: Option<u32>,
    /// The kernel refused the first rules: it is not asked again, netd relays.
    unusable: bool,
}

/// A container's ports, bound once more.
#[derive(Debug, Default)]
pub(crate) struct Again {
    pub(crate) leads: Vec<protocol::Port>,
    pub(crate) fds: Vec<OwnedFd>,
    pub(crate) warnings: Vec<String>,
}

/// Ports with the sockets that are bound for them; what is reached at the container's address has none.
type Bound = Vec<(Port, Option<OwnedFd>)>;

impl Ports {
    /// No ports yet. `table` names the firewall's tables; `relayed`: netd relays all, and the host's input rules apply.
    pub fn open(table: &str, relayed: bool) -> Self {
        Self {
            table: table.to_owned(),
            filter: Socket::open(netlink::Protocol::Netfilter).ok(),
            relayed,
            state: Mutex::default(),
        }
    }

    /// Publishes all of these ports of a container, or none.
    pub fn publish(
        &self,
        keeper: &Keeper,
        container: &str,
        target: Target,
        requests: &[PortRequest],
    ) -> Result<Vec<Port>> {
        let mut state = self.lock();
        // Those that name their port go first: a random one must not take it from them.
        let mut ordered: Vec<&PortRequest> = requests.iter().collect();
        ordered
            .sort_by_key(|request| (request.ports.is_none(), request.protocol, request.container));
        let mut bound = Bound::new();
        for request in ordered {
            target.check(request)?;
            if self.relayed && request.protocol == Protocol::Sctp {
                let what = "publishing ports of SCTP through the host's input rules";
                return Err(Error::NotBuilt(what.to_owned()));
            }
            bound.extend(bind(request, target).map_err(|failure| state.explain(failure))?);
        }
        let ports: Vec<Port> = bound.iter().map(|(port, _)| *port).collect();
        keep(keeper, container, target, &bound)?;
        state
            .held
            .insert(container.to_owned(), (target, ports.clone()));
        if let Err(refused) = self.translate(&mut state, target, &ports) {
            state.held.remove(container);
            release(keeper, container);
            return Err(refused);
        }
        self.forget_datagrams(&ports);
        Ok(ports)
    }

    /// A container has another place that its ports lead to. The same ports are bound again: connections through them end.
    pub fn retarget(&self, keeper: &Keeper, container: &str, target: Target) -> Result<()> {
        let mut state = self.lock();
        match state.held.get_mut(container) {
            Some((held, _)) if *held != target => *held = target,
            _ => return Ok(()),
        }
        release(keeper, container);
        let again = state.bind_again(container);
        give(keeper, container, &again.leads, &again.fds)?;
        if !state.installed.is_empty() {
            self.replace(&mut state)?;
        }
        if let Some((_, ports)) = state.held.get(container) {
            self.forget_datagrams(ports);
        }
        match again.warnings.into_iter().next() {
            Some(why) => Err(Error::Netd { why }),
            None => Ok(()),
        }
    }

    /// Lets go of a container's ports.
    pub fn unpublish(&self, keeper: &Keeper, container: &str) -> Result<()> {
        let mut state = self.lock();
        let Some((target, ports)) = state.held.remove(container) else {
            return Ok(());
        };
        let gone = self.forget(&mut state, target, &ports);
        release(keeper, container);
        self.forget_datagrams(&ports);
        gone
    }

    /// Clients that speak on from the same port are led to where these ports lead now.
    fn forget_datagrams(&self, ports: &[Port]) {
        let datagrams = ports
            .iter()
            .filter(|port| port.protocol == Protocol::Udp && port.is_bound());
        let ports: Vec<_> = datagrams.map(|port| (port.host, port.port)).collect();
        if let (Some(filter), false) = (&self.filter, ports.is_empty()) {
            // A kernel that cannot be asked forgets by itself, once a client is silent for half a minute.
            drop(conntrack::forget_datagrams(filter, &ports));
        }
    }

    /// What a container of an earlier daemon has published. The rules are made by [`Ports::restore`].
    pub fn adopt(&self, container: &str, target: Target, ports: &[Port]) {
        self.lock()
            .held
            .insert(container.to_owned(), (target, ports.to_vec()));
    }

    /// Makes the rules as they should be, whatever was done to them.
    pub fn restore(&self) -> Result<()> {
        let mut state = self.lock();
        if state.unusable {
            return Ok(());
        }
        match &self.filter {
            // An earlier daemon may have translated.
            Some(filter) if self.relayed => {
                nat::replace(filter, &self.table, &[]).map_err(self.refused())
            }
            _ => self.replace(&mut state),
        }
    }

    /// Puts the rules back if somebody has taken away or added anything. It is asked every second, and looks only where
    /// something has changed in the firewall.
    pub fn keep_rules(&self) -> Result<()> {
        let mut state = self.lock();
        let (Some(filter), false) = (&self.filter, state.installed.is_empty()) else {
            return Ok(());
        };
        let generation = nft::generation(filter).map_err(self.refused())?;
        if generation.is_some() && generation == state.looked_at {
            return Ok(());
        }
        let families = state.installed.iter().copied();
        // A look that fails is no better than one that finds nothing.
        match nat::are_whole(filter, &self.table, families, &state.translations()) {
            Ok(true) => {}
            _ => self.replace(&mut state)?,
        }
        state.looked_at = generation;
        Ok(())
    }

    /// Whether ports are relayed by netd alone, as the kernel cannot translate.
    pub fn relays(&self) -> bool {
        !self.relayed && (self.filter.is_none() || self.lock().unusable)
    }

    /// The name of the tables in which the rules stand.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Brings netd to hold what is published and to know the names, after a start of the daemon or an end of netd; what
    /// could not be done is told. `namespace` opens a running container's.
    pub fn hand_over(
        &self,
        keeper: &Keeper,
        names: &Names,
        namespace: impl Fn(&str) -> Option<OwnedFd>,
    ) -> Vec<String> {
        // Locked throughout, and before the keeper, as everywhere: nothing is published meanwhile.
        let state = self.lock();
        let known = names.lock();
        let counts = state
            .held
            .iter()
            .map(|(container, (_, ports))| {
                let bound = ports.iter().filter(|port| port.is_bound()).count();
                (container.clone(), bound)
            })
            .filter(|(_, bound)| *bound > 0)
            .collect();
        keeper.restore(
            &counts,
            &known,
            |container| state.bind_again(container),
            namespace,
        )
    }

    fn translate(&self, state: &mut State, target: Target, ports: &[Port]) -> Result<()> {
        let wanted = translations(target, ports);
        let idle = self.relayed || state.unusable || wanted.is_empty();
        let (Some(filter), false) = (&self.filter, idle) else {
            return Ok(());
        };
        if wanted
            .iter()
            .all(|port| state.installed.contains(&port.family()))
        {
            match nat::add(filter, &self.table, &wanted) {
                // Somebody has removed the tables.
                Err(refused) if refused.missing() => {}
                other => return other.map_err(self.refused()),
            }
        }
        let first = state.installed.is_empty();
        match self.replace(state) {
            // The kernel lacks something; netd listens behind every rule, so the ports work all the same.
            Err(_) if first => {
                state.unusable = true;
                Ok(())
            }
            other => other,
        }
    }

    fn forget(&self, state: &mut State, target: Target, ports: &[Port]) -> Result<()> {
        let Some(filter) = &self.filter else {
            return Ok(());
        };
        if state.installed.is_empty() {
            return Ok(());
        }
        if !state.held.is_empty() {
            match nat::remove(filter, &self.table, &translations(target, ports)) {
                Err(refused) if refused.missing() => {}
                other => return other.map_err(self.refused()),
            }
        }
        self.replace(state)
    }

    fn replace(&self, state: &mut State) -> Result<()> {
        let Some(filter) = &self.filter else {
            return Ok(());
        };
        let all = state.translations();
        nat::replace(filter, &self.table, &all).map_err(self.refused())?;
        state.installed = all.iter().map(Translation::family).collect();
        Ok(())
    }

    fn refused(&self) -> impl FnOnce(netlink::Refused) -> Error {
        Error::refused(format!("change nftables table {}", self.table))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn translations(&self) -> Vec<Translation> {
        self.held
            .values()
            .flat_map(|(target, ports)| translations(*target, ports))
            .collect()
    }

    /// Binds a container's ports once more; what cannot be bound is told.
    fn bind_again(&self, container: &str) -> Again {
        let mut again = Again::default();
        let Some((target, ports)) = self.held.get(container) else {
            return again;
        };
        let mut bound = Bound::new();
        for port in ports.iter().filter(|port| port.is_bound()) {
            let host = SocketAddr::from((port.host, port.port));
            match socket(port.protocol, host) {
                Ok(fd) => bound.push((*port, Some(fd))),
                Err(error) => again.warnings.push(format!(
                    "hold port {host} of container {container}: {error}"
                )),
            }
        }
        (again.leads, again.fds) = leads(*target, bound);
        again
    }

    /// The container that has a port, or the system's reason.
    fn explain(&self, failure: NotBound) -> Error {
        let wanted = failure.host;
        let clashes = |port: &&Port| {
            port.protocol == failure.protocol
                && port.port == wanted.port()
                && (port.host == wanted.ip()
                    || port.host.is_ipv4() == wanted.is_ipv4()
                        && (port.host.is_unspecified() || wanted.ip().is_unspecified()))
        };
        let in_use = failure.error.kind() == io::ErrorKind::AddrInUse;
        let ours = self
            .held
            .values()
            .flat_map(|(_, ports)| ports)
            .find(clashes);
        if in_use && ours.is_some() {
            return Error::PortAllocated { host: wanted };
        }
        Error::PortTaken {
            host: wanted,
            target: failure.target,
            protocol: failure.protocol,
            source: failure.error,
        }
    }
}

/// What the kernel can translate of these; the rest is netd's.
fn translations(target: Target, ports: &[Port]) -> Vec<Translation> {
    let translation = |port: &Port| {
        let address = target.of(port.host)?;
        (address.is_ipv4() == port.host.is_ipv4()).then_some(Translation {
            protocol: port.protocol,
            host: port.host,
            port: port.port,
            target: address,
            target_port: port.container,
        })
    };
    let bound = ports.iter().filter(|port| port.is_bound());
    bound.filter_map(translation).collect()
}

/// Where netd is to lead what comes to these sockets.
fn leads(target: Target, bound: Bound) -> (Vec<protocol::Port>, Vec<OwnedFd>) {
    let lead = |(port, fd): (Port, Option<OwnedFd>)| {
        let (address, fd) = (target.of(port.host)?, fd?);
        let lead = protocol::Port {
            protocol: port.protocol,
            target: (address, port.container).into(),
        };
        Some((lead, fd))
    };
    bound.into_iter().filter_map(lead).unzip()
}

/// Gives the sockets to netd.
fn keep(keeper: &Keeper, container: &str, target: Target, bound: &Bound) -> Result<()> {
    let duplicates = bound
        .iter()
        .map(|(port, fd)| Ok((*port, fd.as_ref().map(OwnedFd::try_clone).transpose()?)))
        .collect::<io::Result<Bound>>()
        .map_err(Error::io("duplicate the sockets of published ports"))?;
    let (leads, fds) = leads(target, duplicates);
    give(keeper, container, &leads, &fds)
}

fn give(keeper: &Keeper, container: &str, leads: &[protocol::Port], fds: &[OwnedFd]) -> Result<()> {
    for (leads, fds) in leads
        .chunks(protocol::PORTS)
        .zip(fds.chunks(protocol::PORTS))
    {
        let request = Request::Publish {
            container: container.to_owned(),
            ports: leads.to_vec(),
        };
        keeper.call(&request, fds).inspect_err(|_| {
            release(keeper, container);
        })?;
    }
    Ok(())
}

fn release(keeper: &Keeper, container: &str) {
    // A netd that is gone holds nothing; one that lives has answered.
    drop(keeper.call_if_running(&Request::Unpublish {
        container: container.to_owned(),
    }));
}

#[cfg(test)]
mod tests;
