//! Bridges that somebody has deleted under running containers: made again, with all places on them.
//!
//! The kernel lets a deleted bridge's ports go and leaves them as they are: a place comes back by making its host's end a
//! port once more. Addresses, routes and connections inside the container were never touched.

use std::sync::atomic::Ordering;

use sys::netlink::{Protocol, Socket};

use crate::networks::lock;
use crate::{Bridge, Endpoint, Error, Networks, Result, link, sandbox};

impl Networks {
    /// Makes bridges again that somebody has deleted. What was done is told, and what could not be, once.
    ///
    /// # Errors
    ///
    /// No netlink socket could be opened, and nothing was looked at.
    pub fn keep_bridges(&self) -> Result<Vec<String>> {
        let socket = Socket::open(Protocol::Route).map_err(Error::io("open netlink socket"))?;
        let _one = lock(&self.changing);
        let mut told = Vec::new();
        for network in self.all() {
            let Some(bridge) = network.bridge().ok().filter(|one| one.is_bridge()) else {
                continue;
            };
            let Some(places) = network.places() else {
                continue;
            };
            let (name, ours) = (&network.record.name, bridge.name());
            let before = bridge.is_lost.load(Ordering::Relaxed);
            let mended = bridge.mend(&socket, &places);
            bridge.is_lost.store(mended.is_err(), Ordering::Relaxed);
            match mended {
                Ok(false) => {}
                Ok(true) => {
                    told.extend(self.route_localhost(bridge));
                    told.push(format!(
                        "the bridge {ours} of network {name} was gone: it is there again, with {} places",
                        places.len()
                    ));
                }
                Err(_) if before => {}
                Err(error) => told.push(format!(
                    "the bridge {ours} of network {name} is gone, and its containers are cut off: {error}"
                )),
            }
        }
        Ok(told)
    }
}

impl Bridge {
    /// Makes the interface again if it is gone, with these places on it. Says whether it was.
    fn mend(&self, socket: &Socket, places: &[Endpoint]) -> Result<bool> {
        let found = link::get(socket, self.index())
            .map_err(Error::refused(format!("look up {}", self.name())))?;
        if found.is_some() {
            return Ok(false);
        }
        self.index
            .store(self.set_up_again(socket)?, Ordering::Relaxed);
        // What was ready is a port of nothing: it goes with its namespaces, and the next refill makes more.
        for ready in lock(&self.pool).drain(..) {
            self.release(&ready.endpoint);
        }
        for place in places {
            self.join(socket, place)?;
        }
        Ok(true)
    }

    /// Makes the host's end of a place a port of the bridge, unless it is one or has died with its namespace.
    pub(crate) fn join(&self, socket: &Socket, place: &Endpoint) -> Result<()> {
        let name = &place.host_interface;
        let port = link::find(socket, name).map_err(Error::refused(format!("look up {name}")))?;
        let Some(port) = port.filter(|port| port.master != self.index()) else {
            return Ok(());
        };
        socket
            .transact(&[link::set_master(port.index, self.index())])
            .map_err(Error::refused(format!("put {name} on {}", self.name())))?;
        let mac = link::parse_mac(&place.mac).unwrap_or_else(link::random_mac);
        sandbox::open_port(socket, name, port.index, mac, self.is_isolated())
    }
}
