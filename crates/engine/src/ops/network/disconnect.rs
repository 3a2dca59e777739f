//! Disconnect a container from a network, whether it runs or not.
//!
//! What is left when the daemon dies on the way is finished by the next one (`recover::places`): the place is noted, and the
//! attachments that are noted with it are without it.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::running::{namespace, note, record};
use crate::blocking::{Class, blocking};
use crate::container::Container;
use crate::container::spec::NetworkMode;
use crate::detached::detached;
use crate::ops::container::start::etc;
use crate::steps::step;
use crate::{Engine, Error, Result, naming, ports};

/// Disconnects a container from a network.
pub async fn disconnect(engine: &Arc<Engine>, network: &str, container: &str) -> Result<()> {
    let container_ref = container.to_owned();
    let container = engine.containers.find(container)?;
    // A network that is gone may still be left by a container that does not run.
    let network = engine
        .networks
        .find(network)
        .map_or_else(|_| network.to_owned(), |found| found.record.id.clone());
    let engine = engine.clone();
    detached(async move {
        let lease = container.lease().await;
        lease.exists(&container_ref)?;
        let worker = engine.clone();
        blocking("disconnect a container", Class::Kernel, move || {
            leave(&worker, lease.container(), &network)
        })
        .await
    })
    .await
}

fn leave(engine: &Arc<Engine>, container: &Arc<Container>, reference: &str) -> Result<()> {
    let now = container.now();
    let name = engine
        .networks
        .find(reference)
        .map_or_else(|_| reference.to_owned(), |found| found.record.name.clone());
    let is_it = |id: &str, named: &str| id == reference || (id.is_empty() && named == name);
    let Some(place) = now
        .attachments
        .iter()
        .position(|one| is_it(&one.network_id, &one.network) || one.network == reference)
    else {
        return Err(Error::Network(network::Error::Unconnected {
            container: now.id().to_owned(),
            network: name,
        }));
    };
    let mut attachments = now.attachments.clone();
    attachments.remove(place);
    if !now.state.is_running() {
        record(container, &attachments)?;
        container.publish(|now| now.attachments = attachments);
        return Ok(());
    }
    if now.record.spec.network == NetworkMode::Host && name == "host" {
        return Err(Error::Conflict(
            "container cannot be disconnected from host network or connected to host network"
                .to_owned(),
        ));
    }
    let mut endpoints = now.endpoints.clone();
    let found = endpoints.iter().position(|one| one.network_id == reference);
    let endpoint = found.map(|at| endpoints.remove(at));
    if let Some(endpoint) = &endpoint {
        let netns = namespace(container)?;
        note(container, &attachments, &now.endpoints)?;
        step("disconnect.begun");
        // Before the interface goes: while the kernel takes it apart, for 10 ms, it answers nobody who asks for routes.
        network::reroute(netns.as_fd(), &endpoints).inspect_err(|_| {
            // It stays where it is, and the caller is told why.
            drop(note(container, &now.attachments, &now.endpoints));
        })?;
        step("disconnect.rerouted");
        engine.networks.unplug(Some(netns.as_fd()), endpoint);
    }
    step("disconnect.unplugged");
    note(container, &attachments, &endpoints)?;
    step("disconnect.noted");
    container.publish(|now| {
        now.attachments.clone_from(&attachments);
        // The container may have ended meanwhile, and all of them been taken back.
        now.endpoints.retain(|one| one.network_id != reference);
    });
    ports::retarget(engine, container);
    naming::update(engine, container, None);
    record(container, &attachments)?;
    step("disconnect.recorded");
    if let Some(endpoint) = &endpoint {
        etc::remove_hosts(container, &now.record, endpoint)?;
        engine.network_event(endpoint, "disconnect", &container.id);
    }
    Ok(())
}
