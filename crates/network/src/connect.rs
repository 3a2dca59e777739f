//! A container's places: given out at its start, one more or one less while it runs, taken back at its end.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::networks::lock;
use crate::record::{Driver, Record};
use crate::{
    Attachment, Endpoint, Error, Network, Networks, Result, Sandbox, Settings, link, net_none,
    sandbox, unplug,
};

/// Unconnected sandboxes kept ready.
const POOL_NONE: usize = 6;

impl Networks {
    /// A sandbox with a place on each of these networks, in their order; none of its own on the host's network. What is
    /// given out is taken back with [`Networks::release`].
    pub fn connect(&self, attachments: &[Attachment]) -> Result<Sandbox> {
        let mut sandbox = Sandbox {
            netns: None,
            endpoints: Vec::new(),
        };
        let connected = self.connect_all(attachments, &mut sandbox);
        connected.inspect_err(|_| self.release(&sandbox.endpoints))?;
        Ok(sandbox)
    }

    fn connect_all(&self, attachments: &[Attachment], sandbox: &mut Sandbox) -> Result<()> {
        // An only place gets its routes where it is made.
        let alone = attachments.len() == 1;
        for attachment in attachments {
            let network = self.find(attachment.id_or_name())?;
            let settings = &attachment.settings;
            check(&network, settings)?;
            let endpoint = match network.record.driver {
                Driver::Host => bare_endpoint(&network.record),
                Driver::Null => {
                    sandbox.netns = Some(self.bare()?);
                    bare_endpoint(&network.record)
                }
                _ if sandbox.netns.is_none() && network.is_default() && is_plain(settings) => {
                    let connected = network.bridge()?.connect()?;
                    sandbox.netns = Some(connected.netns);
                    Endpoint {
                        priority: settings.gateway_priority,
                        ..connected.endpoint
                    }
                }
                _ => {
                    if sandbox.netns.is_none() {
                        sandbox.netns = Some(self.bare()?);
                    }
                    let netns = sandbox.netns.as_ref().ok_or_else(no_namespace)?;
                    let bridge = network.bridge()?;
                    let taken = sandbox.endpoints.iter().map(|one| one.interface.clone());
                    let interface =
                        bridge.interface_name(settings, &taken.collect::<Vec<String>>())?;
                    let endpoint = bridge.give(&interface, settings)?;
                    let gateways = if alone {
                        endpoint.ways_out()
                    } else {
                        Vec::new()
                    };
                    bridge
                        .plug(netns.as_fd(), &endpoint, settings, &gateways)
                        .inspect_err(|_| bridge.release(&endpoint))?;
                    endpoint
                }
            };
            let entered = network.enter(&endpoint);
            sandbox.endpoints.push(endpoint);
            entered?;
        }
        match &sandbox.netns {
            Some(netns) if !alone => reroute(netns.as_fd(), &sandbox.endpoints),
            _ => Ok(()),
        }
    }

    /// A place on one more network for a container that runs and has these. It is `noted` before it is plugged in: what a
    /// crash leaves is then known.
    pub fn attach(
        &self,
        netns: &OwnedFd,
        endpoints: &[Endpoint],
        attachment: &Attachment,
        noted: impl FnOnce(&Endpoint) -> std::result::Result<(), String>,
    ) -> Result<Endpoint> {
        let network = self.find(attachment.id_or_name())?;
        check(&network, &attachment.settings)?;
        let names = sandbox::interfaces(netns.as_fd())?;
        let bridge = network.bridge()?;
        let interface = bridge.interface_name(&attachment.settings, &names)?;
        let endpoint = bridge.give(&interface, &attachment.settings)?;
        let mut all = endpoints.to_vec();
        all.push(endpoint.clone());
        let plugged = network
            .enter(&endpoint)
            .and_then(|()| noted(&endpoint).map_err(Error::Note))
            .and_then(|()| bridge.plug(netns.as_fd(), &endpoint, &attachment.settings, &[]));
        // An interface of that name is not this place's.
        plugged.inspect_err(|_| self.release(std::slice::from_ref(&endpoint)))?;
        reroute(netns.as_fd(), &all)
            .inspect_err(|_| self.unplug(Some(netns.as_fd()), &endpoint))?;
        Ok(endpoint)
    }

    /// Whether such a place can be had, as far as that is known before it is asked for.
    pub fn check(&self, attachment: &Attachment) -> Result<()> {
        let network = self.find(attachment.id_or_name())?;
        check(&network, &attachment.settings)
    }

    /// Whether a place that was noted was plugged in wholly and still is: what a crash of connect or disconnect leaves
    /// half done is not. `netns` is the container's.
    pub fn is_plugged(&self, netns: Option<BorrowedFd<'_>>, endpoint: &Endpoint) -> bool {
        if endpoint.host_interface.is_empty() {
            let inside = netns.filter(|_| !endpoint.interface.is_empty());
            return inside.is_none_or(|netns| sandbox::is_up(netns, &endpoint.interface));
        }
        let Ok(socket) = sys::netlink::Socket::open(sys::netlink::Protocol::Route) else {
            return true;
        };
        match link::find(&socket, &endpoint.host_interface) {
            Ok(found) => found.is_some_and(|link| link.up),
            Err(_) => true,
        }
    }

    /// Takes away the interface of a place, and the place. `netns` is the container's, if it lives: an interface that has
    /// no end on the host dies with it.
    pub fn unplug(&self, netns: Option<BorrowedFd<'_>>, endpoint: &Endpoint) {
        if let (Some(netns), true, false) = (
            netns,
            endpoint.host_interface.is_empty(),
            endpoint.interface.is_empty(),
        ) {
            unplug::inside(netns, &endpoint.interface);
            unplug::inside(netns, &sandbox::first_name(&endpoint.id));
        }
        if let Ok(host) = sys::netlink::Socket::open(sys::netlink::Protocol::Route)
            && !endpoint.host_interface.is_empty()
        {
            unplug::pair(&host, &endpoint.host_interface);
        }
        self.release(std::slice::from_ref(endpoint));
    }

    /// These endpoints are gone: their addresses are free at once. Their interfaces die with their namespace.
    pub fn release(&self, endpoints: &[Endpoint]) {
        for endpoint in endpoints {
            if let Some(network) = self.of(endpoint) {
                network.leave(&endpoint.id);
                if let Ok(bridge) = network.bridge() {
                    bridge.release(endpoint);
                }
            }
        }
    }

    /// Takes over the endpoint of a container that was running before this process.
    pub fn adopt(&self, endpoint: &Endpoint) -> Result<()> {
        let Some(network) = self.of(endpoint) else {
            return Ok(());
        };
        network.enter(endpoint)?;
        match network.bridge() {
            Ok(bridge) => bridge.adopt(endpoint),
            Err(_) => Ok(()),
        }
    }

    /// All containers that still run have been adopted: what was kept for others at open is free.
    pub fn expect_nobody(&self) {
        for network in self.all() {
            if let Ok(bridge) = network.bridge() {
                bridge.expect_nobody();
            }
        }
    }

    /// Makes what [`Networks::connect`] takes: ready sandboxes.
    pub fn refill(&self) {
        if let Ok(bridge) = self.default_bridge() {
            bridge.refill();
        }
        while lock(&self.pool_none).len() < POOL_NONE {
            let Ok(netns) = net_none() else { break };
            lock(&self.pool_none).push(netns);
        }
    }

    /// A network namespace without a connection: a ready one, else a new one.
    fn bare(&self) -> Result<OwnedFd> {
        let ready = lock(&self.pool_none).pop();
        ready.map_or_else(net_none, Ok)
    }
}

fn no_namespace() -> Error {
    Error::Invalid("a container of the host's network has no other".to_owned())
}

/// Nothing was asked that a ready sandbox does not have.
fn is_plain(settings: &Settings) -> bool {
    settings.ipv4.is_none()
        && settings.ipv6.is_none()
        && settings.mac.is_none()
        && settings.link_local.is_empty()
        && settings.driver_opts.is_empty()
}

/// Whether such a place can be had, in Docker's words.
fn check(network: &Network, settings: &Settings) -> Result<()> {
    let record = &network.record;
    let mut wrong = Vec::new();
    if record.config_only {
        return Err(Error::Forbidden(
            "cannot create endpoint on configuration-only network".to_owned(),
        ));
    }
    if record.driver == Driver::Ipvlan && settings.mac.is_some() {
        return Err(Error::Invalid(
            "ipvlan driver does not support custom mac address assignment".to_owned(),
        ));
    }
    if network.is_predefined() {
        if settings.ipv4.is_some() || settings.ipv6.is_some() {
            wrong.push(
                "user specified IP address is supported on user defined networks only".to_owned(),
            );
        }
        if !settings.aliases.is_empty() {
            wrong.push(
                "network-scoped alias is supported only for containers in user defined networks"
                    .to_owned(),
            );
        }
    } else {
        let asked = [settings.ipv4.map(IpAddr::V4), settings.ipv6.map(IpAddr::V6)];
        for address in asked.into_iter().flatten() {
            let mut subnets = record
                .pools
                .iter()
                .filter(|pool| pool.by_user && pool.subnet.addr().is_ipv4() == address.is_ipv4())
                .map(|pool| pool.subnet)
                .peekable();
            if subnets.peek().is_none() {
                wrong.push("user specified IP address is supported only when connecting to networks with user configured subnets".to_owned());
            } else if !subnets.any(|subnet| subnet.contains(&address)) {
                wrong.push(format!(
                    "no configured subnet or ip-range contain the IP address {address}"
                ));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "invalid endpoint settings:\n{}",
        wrong.join("\n")
    )))
}

/// The place on a network that gives no interface.
fn bare_endpoint(record: &Record) -> Endpoint {
    Endpoint {
        id: stdx::id::random_hex(),
        network_id: record.id.clone(),
        network: record.name.clone(),
        ..Endpoint::default()
    }
}

/// Lets the default routes of a container's namespace lead where they should with these places.
pub fn reroute(netns: BorrowedFd<'_>, endpoints: &[Endpoint]) -> Result<()> {
    let route = |six| {
        let endpoint = way_out(endpoints, six)?;
        Some((endpoint.interface.as_str(), endpoint.way_out(six)?))
    };
    sandbox::reroute(netns, route(false), route(true))
}

/// The place of these that leads out by a family: the one with the highest priority; among equals, one that does so by both
/// families, then the first by its network's name.
pub fn way_out<'a>(
    endpoints: impl IntoIterator<Item = &'a Endpoint>,
    six: bool,
) -> Option<&'a Endpoint> {
    let with = endpoints
        .into_iter()
        .filter(|one| one.way_out(six).is_some());
    with.min_by_key(|one| {
        let both = one.way_out(false).is_some() && one.way_out(true).is_some();
        (-one.priority, !both, one.network.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(network: &str, priority: i64, out: bool) -> Endpoint {
        Endpoint {
            network: network.into(),
            interface: network.into(),
            priority,
            gateway4: out.then(|| [10, 0, 0, 1].into()),
            ..Endpoint::default()
        }
    }

    #[test]
    fn the_way_out_leads_through_the_highest_priority_then_the_first_name() {
        let out = |endpoints: &[Endpoint]| way_out(endpoints, false).map(|one| one.network.clone());
        let (a, b) = (endpoint("a", 0, true), endpoint("b", 0, true));
        assert_eq!(out(&[b.clone(), a.clone()]).as_deref(), Some("a"));
        let c = endpoint("c", 1, true);
        assert_eq!(out(&[b, a, c]).as_deref(), Some("c"));
        assert_eq!(out(&[endpoint("x", 9, false)]), None);
    }
}
