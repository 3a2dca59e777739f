//! Who may change a container: one at a time. Every transition begins here, and only an allowed one begins.
//!
//! A transition in progress is a value (`Starting`), never a stored state: dropped, it has not happened. Signals and exits
//! need no lease: signals go to the monitor, exits come from it (`supervise`).

use std::sync::Arc;

use network::{Endpoint, Port};
use tokio::sync::OwnedMutexGuard;

use super::state::{Exited, Running, StartFailure};
use super::{Container, State};
use crate::{Error, Result};

/// The right to change a container.
#[derive(Debug)]
pub struct Lease {
    container: Arc<Container>,
    _guard: OwnedMutexGuard<()>,
}

/// A start in progress.
#[derive(Debug)]
pub struct Starting {
    lease: Lease,
}

impl Container {
    /// Waits for the right to change it.
    pub async fn lease(self: &Arc<Self>) -> Lease {
        let guard = self.lease.clone().lock_owned().await;
        Lease {
            container: self.clone(),
            _guard: guard,
        }
    }
}

impl Lease {
    /// The container that is leased.
    pub fn container(&self) -> &Arc<Container> {
        &self.container
    }

    /// The container has not been removed while the lease was waited for.
    pub fn exists(&self, reference: &str) -> Result<()> {
        if self.container.now().removed {
            Err(Error::NoSuchContainer(reference.to_owned()))
        } else {
            Ok(())
        }
    }

    /// Begins a start, if one may begin.
    pub fn begin_start(self, reference: &str) -> Result<Starting> {
        self.exists(reference)?;
        match &self.container.now().state {
            State::Created(_) | State::Exited(_) => Ok(Starting { lease: self }),
            State::Running(_) => Err(Error::NotModified(format!(
                "container {reference} is already running"
            ))),
            State::Paused(_) => Err(Error::Conflict(
                "cannot start a paused container, try unpause instead".to_owned(),
            )),
            State::Dead(_) => Err(Error::Conflict(
                "container is marked for removal and cannot be started".to_owned(),
            )),
        }
    }

    /// Begins a removal, if one may begin.
    pub fn begin_remove(&self, reference: &str) -> Result<()> {
        self.exists(reference)?;
        let why = match &self.container.now().state {
            State::Running(_) => {
                "container is running: stop the container before removing or force remove"
            }
            State::Paused(_) => "container is paused and must be unpaused first",
            _ => return Ok(()),
        };
        Err(Error::Conflict(format!(
            "cannot remove container \"{}\": {why}",
            self.container.now().name
        )))
    }

    /// Takes a running container for frozen.
    pub fn paused(&self) {
        self.container.publish(|now| {
            if let State::Running(running) = &now.state {
                now.state = State::Paused(running.clone());
            }
        });
    }

    /// Takes a frozen container for running.
    pub fn resumed(&self) {
        self.container.publish(|now| {
            if let State::Paused(running) = &now.state {
                now.state = State::Running(running.clone());
            }
        });
    }
}

impl Starting {
    /// The container that is being started.
    pub fn container(&self) -> &Arc<Container> {
        &self.lease.container
    }

    /// The only way into `Running`. The endpoints are in the order of the attachments.
    pub fn commit(self, running: Running, endpoints: Vec<Endpoint>, ports: Vec<Port>) -> Lease {
        self.lease.container.publish(|now| {
            now.state = State::Running(running);
            // Named so far, known by id from here on: another network may have the name one day.
            for (attachment, endpoint) in now.attachments.iter_mut().zip(&endpoints) {
                attachment.network_id.clone_from(&endpoint.network_id);
                attachment.network.clone_from(&endpoint.network);
            }
            now.endpoints = endpoints;
            now.ports = ports;
        });
        self.lease
    }

    /// The start failed: the container stays what it was, with the reason.
    pub fn fail(self, failure: StartFailure) -> Lease {
        self.lease.container.publish(|now| {
            now.state = match &now.state {
                State::Exited(before) => State::Exited(Exited {
                    code: failure.code,
                    error: failure.error,
                    ..before.clone()
                }),
                _ => State::Created(Some(failure)),
            };
        });
        self.lease
    }
}

#[cfg(test)]
mod tests;
