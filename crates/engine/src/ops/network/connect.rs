//! Connect a container to one more network, whether it runs or not.
//!
//! ```text
//! lease ─> check ─> not running: record it
//!                └> running: note the place ─> plug it in ─> its hosts file ─> record it ─> say so
//! ```
//!
//! A place that is noted and not plugged in has not happened: the next daemon takes it back.

use std::sync::Arc;

use network::{Attachment, Driver, Network, Settings};

use super::running::{namespace, note, record};
use crate::blocking::{Class, blocking};
use crate::container::spec::NetworkMode;
use crate::container::{Container, Published};
use crate::detached::detached;
use crate::ops::container::start::etc;
use crate::steps::step;
use crate::{Engine, Error, Result, naming, ports};

/// Connects a container to a network.
pub async fn connect(
    engine: &Arc<Engine>,
    network: &str,
    container: &str,
    settings: Settings,
) -> Result<()> {
    let container_ref = container.to_owned();
    let container = engine.containers.find(container)?;
    let network = engine.networks.find(network)?;
    let engine = engine.clone();
    detached(async move {
        let lease = container.lease().await;
        lease.exists(&container_ref)?;
        let worker = engine.clone();
        blocking("connect a container", Class::Kernel, move || {
            join(&worker, lease.container(), &network, settings)
        })
        .await
    })
    .await
}

fn join(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    network: &Arc<Network>,
    settings: Settings,
) -> Result<()> {
    let now = container.now();
    check(&now, network)?;
    let attachment = Attachment {
        network: network.record.name.clone(),
        network_id: network.record.id.clone(),
        settings,
    };
    let mut attachments = now.attachments.clone();
    attachments.push(attachment.clone());
    if !now.state.is_running() {
        engine.networks.check(&attachment)?;
        record(container, &attachments)?;
        container.publish(|now| now.attachments = attachments);
        return Ok(());
    }
    let netns = namespace(container)?;
    let mut endpoints = now.endpoints.clone();
    let noted = |endpoint: &network::Endpoint| {
        let mut all = endpoints.clone();
        all.push(endpoint.clone());
        let noted = note(container, &attachments, &all);
        step("connect.noted");
        noted.map_err(|error| error.to_string())
    };
    let endpoint = engine
        .networks
        .attach(&netns, &now.endpoints, &attachment, noted)?;
    step("connect.plugged");
    endpoints.push(endpoint.clone());
    // The container may have ended meanwhile, and nobody takes back a place that nobody has seen.
    let mut seen = false;
    container.publish(|now| {
        if now.goes_on() {
            now.attachments.clone_from(&attachments);
            now.endpoints = endpoints;
            seen = true;
        }
    });
    if !seen {
        engine.networks.unplug(None, &endpoint);
        return Err(Error::Conflict(format!(
            "container {} is not running",
            now.id()
        )));
    }
    etc::add_hosts(container, &now.record, &endpoint)?;
    let resolved = engine.names.knows(&container.id);
    ports::retarget(engine, container);
    naming::update(engine, container, Some(&netns));
    if !resolved && engine.names.knows(&container.id) {
        etc::write_resolver(container, &now.record.spec, true)?;
    }
    record(container, &attachments)?;
    step("connect.recorded");
    engine.network_event(&endpoint, "connect", &container.id);
    Ok(())
}

/// What cannot be connected, in Docker's words.
fn check(now: &Published, network: &Network) -> Result<()> {
    let mode = &now.record.spec.network;
    let invalid = |why: &str| Err(Error::Invalid(why.to_owned()));
    if matches!(mode, NetworkMode::Container(_)) {
        return invalid(
            "container sharing network namespace with another container or host cannot be connected to any other network",
        );
    }
    if network.record.driver == Driver::Host {
        return invalid(
            "cannot connect container to host network - container must be created in host network mode",
        );
    }
    let on = |id: &str, name: &str| {
        now.attachments
            .iter()
            .any(|one| one.network_id == id || (one.network_id.is_empty() && one.network == name))
    };
    if on(&network.record.id, &network.record.name) {
        return Err(Error::Network(network::Error::Forbidden(format!(
            "endpoint with name {} already exists in network {}",
            now.name, network.record.name
        ))));
    }
    let mut attachments = now.attachments.iter();
    if *mode == NetworkMode::Host && attachments.any(|one| one.network == "host") {
        return invalid(
            "container sharing network namespace with another container or host cannot be connected to any other network",
        );
    }
    let mut attachments = now.attachments.iter();
    let none = attachments.any(|one| one.network == "none");
    if none || (network.record.driver == Driver::Null && !now.attachments.is_empty()) {
        return invalid(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        );
    }
    Ok(())
}
