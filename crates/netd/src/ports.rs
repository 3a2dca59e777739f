//! Published ports: bound sockets that are held, and what comes through them where no rule of the kernel took it first.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use sys::epoll::Trigger;
use sys::inet;

use crate::flows::{Clients, Flow, IDLE, MOST};
use crate::protocol::{Port, Protocol};
use crate::relay::{Fate, Relay};
use crate::server::{Server, Source};
use crate::slab::Token;

/// Datagrams taken at once, before others have their turn.
const TURN: usize = 64;
/// The largest datagram.
const DATAGRAM: usize = 65_535;

/// A port that is held.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) socket: OwnedFd,
    pub(crate) target: SocketAddr,
    pub(crate) owner: Rc<str>,
}

impl Server {
    /// Holds one more port.
    pub(crate) fn hold(&mut self, owner: &Rc<str>, port: Port, socket: OwnedFd) -> io::Result<()> {
        let held = Held {
            socket,
            target: port.target,
            owner: owner.clone(),
        };
        let source = match port.protocol {
            Protocol::Tcp => Source::Listener(held),
            Protocol::Udp => Source::Datagrams(held, Clients::new()),
            Protocol::Sctp => Source::Kept(held),
        };
        let token = self.sources.insert(source);
        let watched = match self.sources.get_mut(token) {
            Some(Source::Listener(held) | Source::Datagrams(held, _)) => {
                self.epoll
                    .add(held.socket.as_fd(), token, Trigger::Readable)
            }
            _ => Ok(()),
        };
        match watched {
            Ok(()) => {
                self.ports.entry(owner.clone()).or_default().push(token);
                Ok(())
            }
            Err(error) => {
                self.sources.remove(token);
                Err(error)
            }
        }
    }

    /// Lets go of a container's ports, and of what goes through them.
    pub(crate) fn unpublish(&mut self, owner: &str) {
        for token in self.ports.remove(owner).unwrap_or_default() {
            self.sources.remove(token);
        }
        let of_owner = |(token, source): (Token, &mut Source)| match source {
            Source::Relay(relay, of) if **of == *owner => {
                relay.broken();
                Some(token)
            }
            _ => None,
        };
        let relays: Vec<Token> = self.sources.iter_mut().filter_map(of_owner).collect();
        for token in relays {
            self.sources.remove(token);
        }
        self.drop_flows_without_port();
        self.wake_listeners();
    }

    fn drop_flows_without_port(&mut self) {
        let flows: Vec<(Token, Token)> = self
            .sources
            .iter_mut()
            .filter_map(|(token, source)| match source {
                Source::Flow(flow) => Some((token, flow.port)),
                _ => None,
            })
            .collect();
        for (token, port) in flows {
            if self.sources.get_mut(port).is_none() {
                self.sources.remove(token);
            }
        }
    }

    /// Takes one connection.
    pub(crate) fn accept_client(&mut self, token: Token) {
        let Some(Source::Listener(held)) = self.sources.get_mut(token) else {
            return;
        };
        let owner = held.owner.clone();
        match Relay::accept(held.socket.as_fd(), held.target, &mut self.pipes) {
            Ok(relay) => {
                let token = self.sources.insert(Source::Relay(Box::new(relay), owner));
                let Some(Source::Relay(relay, _)) = self.sources.get_mut(token) else {
                    return;
                };
                let watch = |fd| self.epoll.add(fd, token, Trigger::Edges);
                if relay.sockets().into_iter().any(|fd| watch(fd).is_err()) {
                    relay.broken();
                    self.sources.remove(token);
                }
            }
            Err(error) if inet::out_of_descriptors(&error) => {
                // Nothing can be accepted until something ends: watching on would only turn the loop.
                drop(self.epoll.remove(held.socket.as_fd()));
                self.resting.push(token);
            }
            Err(_) => {}
        }
    }

    /// Watches the listeners again that had to rest.
    fn wake_listeners(&mut self) {
        for token in std::mem::take(&mut self.resting) {
            if let Some(Source::Listener(held)) = self.sources.get_mut(token) {
                drop(
                    self.epoll
                        .add(held.socket.as_fd(), token, Trigger::Readable),
                );
            }
        }
    }

    /// Moves what a connection has.
    pub(crate) fn relay(&mut self, token: Token) {
        let Some(Source::Relay(relay, _)) = self.sources.get_mut(token) else {
            return;
        };
        match relay.pump(&mut self.pipes) {
            Fate::Lives => {}
            Fate::Again => self.come_again(token),
            Fate::Ended => {
                self.sources.remove(token);
                self.wake_listeners();
            }
        }
    }

    /// Takes datagrams of clients.
    pub(crate) fn datagrams(&mut self, token: Token) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(DATAGRAM, 0);
        for _ in 0..TURN {
            let Some(Source::Datagrams(held, clients)) = self.sources.get_mut(token) else {
                break;
            };
            let Ok(found) = inet::recv_from(held.socket.as_fd(), &mut buffer) else {
                break;
            };
            let client = (found.from, found.to);
            let (known, target) = (clients.get(&client).copied(), held.target);
            let Some(flow) = known.or_else(|| self.begin_flow(token, client, target)) else {
                continue;
            };
            if let Some(Source::Flow(flow)) = self.sources.get_mut(flow) {
                flow.last = Instant::now();
                // A container that does not listen is the client's loss, as it is without a proxy.
                drop(inet::send(flow.socket.as_fd(), &buffer[..found.length]));
            }
        }
        self.buffer = buffer;
    }

    fn begin_flow(
        &mut self,
        port: Token,
        client: crate::flows::Client,
        target: SocketAddr,
    ) -> Option<Token> {
        let Some(Source::Datagrams(_, clients)) = self.sources.get_mut(port) else {
            return None;
        };
        if clients.len() >= MOST {
            let tokens: Vec<Token> = clients.values().copied().collect();
            let oldest = tokens
                .into_iter()
                .filter_map(|token| match self.sources.get_mut(token)? {
                    Source::Flow(flow) => Some((flow.last, token)),
                    _ => None,
                })
                .min()?;
            self.end_flow(oldest.1);
        }
        let socket = inet::connect_udp(target).ok()?;
        let flow = Flow {
            socket,
            port,
            client,
            last: Instant::now(),
        };
        let token = self.sources.insert(Source::Flow(flow));
        let Some(Source::Flow(flow)) = self.sources.get_mut(token) else {
            return None;
        };
        let watched = self
            .epoll
            .add(flow.socket.as_fd(), token, Trigger::Readable);
        if watched.is_err() {
            self.sources.remove(token);
            return None;
        }
        if let Some(Source::Datagrams(_, clients)) = self.sources.get_mut(port) {
            clients.insert(client, token);
        }
        self.flowing = true;
        Some(token)
    }

    /// Passes on what the container answers.
    pub(crate) fn answers(&mut self, token: Token) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(DATAGRAM, 0);
        for _ in 0..TURN {
            let Some(Source::Flow(flow)) = self.sources.get_mut(token) else {
                break;
            };
            // A refused datagram is reported here once; the flow goes on, the container may listen later.
            let Ok(length) = inet::recv(flow.socket.as_fd(), &mut buffer) else {
                break;
            };
            flow.last = Instant::now();
            let ((to, from), port) = (flow.client, flow.port);
            if let Some(Source::Datagrams(held, _)) = self.sources.get_mut(port) {
                drop(inet::send_to(
                    held.socket.as_fd(),
                    &buffer[..length],
                    to,
                    from,
                ));
            }
        }
        self.buffer = buffer;
    }

    fn end_flow(&mut self, token: Token) {
        if let Some(Source::Flow(flow)) = self.sources.remove(token)
            && let Some(Source::Datagrams(_, clients)) = self.sources.get_mut(flow.port)
        {
            clients.remove(&flow.client);
        }
    }

    /// Ends flows that have been silent; says whether there are others.
    pub(crate) fn end_silent_flows(&mut self, now: Instant) -> bool {
        let mut any = false;
        let silent: Vec<Token> = self
            .sources
            .iter_mut()
            .filter_map(|(token, source)| match source {
                Source::Flow(flow) if now.duration_since(flow.last) >= IDLE => Some(token),
                Source::Flow(_) => {
                    any = true;
                    None
                }
                _ => None,
            })
            .collect();
        for token in silent {
            self.end_flow(token);
        }
        any
    }
}
