//! What connect and disconnect share: a container that runs, and how its places are noted.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use network::{Attachment, Endpoint};

use crate::container::record::Run;
use crate::container::{Container, Published};
use crate::{Engine, Error, Result, supervise};

/// The containers that run on a network, each with its place there.
pub(super) fn endpoints_of(engine: &Engine, network: &str) -> Vec<(Arc<Published>, Endpoint)> {
    let all = engine.containers.all();
    let on_it = all.into_iter().filter_map(|now| {
        let mut endpoints = now.endpoints.iter();
        let endpoint = endpoints.find(|one| one.network_id == network)?.clone();
        Some((now, endpoint))
    });
    on_it.collect()
}

/// The network namespace of a container that runs.
pub(crate) fn namespace(container: &Container) -> Result<OwnedFd> {
    let now = container.now();
    let not_running = || Error::Conflict(format!("container {} is not running", now.id()));
    let running = now.state.running().ok_or_else(not_running)?;
    let process = sys::process::PidFd::open(running.pid)
        .map_err(Error::io("open the container's process"))?;
    let netns = network::of_process(running.pid)?;
    // The number was the container's when the namespace was opened only if that process still lives.
    let ended = process
        .ends_within(std::time::Duration::ZERO)
        .map_err(Error::io("look at the container's process"))?;
    if ended { Err(not_running()) } else { Ok(netns) }
}

/// Notes what a running container has: in the run directory, which a later daemon believes.
pub(crate) fn note(
    container: &Container,
    attachments: &[Attachment],
    endpoints: &[Endpoint],
) -> Result<()> {
    let missing = || Error::Conflict(format!("container {} is not running", container.id));
    let run = supervise::read_run(&container.paths).ok_or_else(missing)?;
    let run = Run {
        attachments: Some(attachments.to_vec()),
        endpoints: endpoints.to_vec(),
        ..run
    };
    Ok(store::save(&container.paths.run(), &run, false)?)
}

/// Writes the record of a container whose networks changed.
pub(crate) fn record(container: &Container, attachments: &[Attachment]) -> Result<()> {
    let now = container.now();
    let mut stored = now.stored();
    stored.attachments = Some(attachments.to_vec());
    let durable = !now.record.spec.auto_remove;
    Ok(store::save(&container.paths.record(), &stored, durable)?)
}
