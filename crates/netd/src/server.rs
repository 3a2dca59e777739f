//! The loop, the engines' requests, and what is held.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sys::epoll::{Epoll, Trigger};
use sys::socket::SeqPacket;

use crate::dns::names::Names;
use crate::dns::stream::Caller;
use crate::dns::upstream::Upstreams;
use crate::dns::{Asking, Resolver};
use crate::flows::{Clients, Flow};
use crate::pipes::Pipes;
use crate::polling::Polling;
use crate::ports::Held;
use crate::protocol::{self, Port, Reply, Request, VERSION};
use crate::relay::Relay;
use crate::slab::{Slab, Token};

/// Where the host's resolvers are named.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// How long netd stays without anything to do while a daemon is connected: the next container often follows at once.
const LINGER: Duration = Duration::from_secs(2);
/// Between looks at silent flows.
const LOOK: Duration = Duration::from_secs(10);

/// What the loop listens to.
#[derive(Debug)]
pub(crate) enum Source {
    /// Further engines come here.
    Engines(SeqPacket),
    /// One engine.
    Engine(SeqPacket),
    /// A published TCP port.
    Listener(Held),
    /// A published UDP port, and who speaks through it.
    Datagrams(Held, Clients),
    /// A published port of a transport that is not relayed.
    Kept(#[expect(dead_code, reason = "held, so that it stays bound")] Held),
    /// A connection through a port of this container.
    Relay(Box<Relay>, Rc<str>),
    /// A client of a UDP port.
    Flow(Flow),
    /// Questions to a container's server, by datagram.
    Questions(OwnedFd, Rc<str>),
    /// Clients of a container's server, by connection.
    Callers(OwnedFd, Rc<str>),
    /// One of them.
    Caller(Box<Caller>),
    /// A question on its way to a resolver.
    Asking(Box<Asking>),
}

/// All of netd.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) epoll: Epoll,
    polling: Polling,
    pub(crate) sources: Slab<Source>,
    /// The ports of each container.
    pub(crate) ports: BTreeMap<Rc<str>, Vec<Token>>,
    /// Listeners that found no descriptors left.
    pub(crate) resting: Vec<Token>,
    /// One datagram; empty between two turns.
    pub(crate) buffer: Vec<u8>,
    /// The servers of containers.
    pub(crate) resolvers: BTreeMap<Rc<str>, Resolver>,
    pub(crate) names: Names,
    pub(crate) upstreams: Upstreams,
    /// Questions on their way.
    pub(crate) asked: usize,
    /// What has its turn again without news: connections with more to move, clients by connection that were answered and
    /// whose next question may be there.
    again: Vec<Token>,
    pub(crate) pipes: Pipes,
    engines: usize,
    idle_since: Option<Instant>,
    /// When silent flows are looked for, if there are any flows.
    look: Instant,
    pub(crate) flowing: bool,
    /// A question or a client has an end to its patience.
    pub(crate) waiting: bool,
    retired: bool,
}

impl Server {
    /// From the listening socket and the first engine's.
    pub(crate) fn new(listener: SeqPacket, engine: SeqPacket) -> io::Result<Self> {
        let mut server = Self {
            epoll: Epoll::new()?,
            polling: Polling::default(),
            sources: Slab::default(),
            ports: BTreeMap::new(),
            resting: Vec::new(),
            buffer: Vec::new(),
            resolvers: BTreeMap::new(),
            names: Names::default(),
            upstreams: Upstreams::new(Path::new(RESOLV_CONF)),
            asked: 0,
            again: Vec::new(),
            pipes: Pipes::default(),
            engines: 0,
            idle_since: Some(Instant::now()),
            look: Instant::now(),
            flowing: false,
            waiting: false,
            retired: false,
        };
        listener.set_nonblocking(true)?;
        let token = server.sources.insert(Source::Engines(listener));
        if let Some(Source::Engines(socket)) = server.sources.get_mut(token) {
            server.epoll.add(socket.as_fd(), token, Trigger::Readable)?;
        }
        server.connect(engine)?;
        Ok(server)
    }

    /// Serves until nothing is left to do.
    pub(crate) fn run(mut self) -> io::Result<()> {
        while !self.retired {
            let timeout = self.timeout();
            let news = self.polling.wait(&self.epoll, timeout)?;
            let again = std::mem::take(&mut self.again);
            let tokens = news.into_iter().map(|one| one.token);
            for token in tokens.chain(again) {
                self.take(token);
            }
            // A turn's datagrams may be large, and the next turn may be far.
            self.buffer = Vec::new();
            if self.is_done() {
                break;
            }
        }
        Ok(())
    }

    fn timeout(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let mut timeout = self
            .idle_since
            .map(|since| LINGER.saturating_sub(now.duration_since(since)));
        if now >= self.look {
            self.look = now + LOOK;
            self.flowing = self.end_silent_flows(now);
        }
        if self.flowing {
            let look = self.look.saturating_duration_since(now);
            timeout = Some(timeout.map_or(look, |first| first.min(look)));
        }
        if self.waiting
            && let Some(late) = self.end_patience(now)
        {
            let late = late.saturating_duration_since(now);
            timeout = Some(timeout.map_or(late, |first| first.min(late)));
        } else {
            self.waiting = false;
        }
        if self.again.is_empty() {
            timeout
        } else {
            Some(Duration::ZERO)
        }
    }

    fn is_done(&mut self) -> bool {
        if !self.ports.is_empty() || !self.resolvers.is_empty() {
            self.idle_since = None;
            return false;
        }
        let since = *self.idle_since.get_or_insert_with(Instant::now);
        self.engines == 0 || since.elapsed() >= LINGER
    }

    /// Gives a source another turn, after others.
    pub(crate) fn come_again(&mut self, token: Token) {
        if !self.again.contains(&token) {
            self.again.push(token);
        }
    }

    fn take(&mut self, token: Token) {
        match self.sources.get_mut(token) {
            Some(Source::Engines(listener)) => {
                if let Ok(engine) = listener.accept() {
                    // A connection that cannot be watched is closed: its engine starts over.
                    drop(self.connect(engine));
                }
            }
            Some(Source::Engine(_)) => self.request(token),
            Some(Source::Listener(_)) => self.accept_client(token),
            Some(Source::Datagrams(..)) => self.datagrams(token),
            Some(Source::Relay(..)) => self.relay(token),
            Some(Source::Flow(_)) => self.answers(token),
            Some(Source::Questions(..)) => self.questions(token),
            Some(Source::Callers(..)) => self.call(token),
            Some(Source::Caller(_)) => self.caller(token),
            Some(Source::Asking(_)) => self.heard(token),
            Some(Source::Kept(_)) | None => {}
        }
    }

    fn connect(&mut self, engine: SeqPacket) -> io::Result<()> {
        engine.set_nonblocking(true)?;
        let token = self.sources.insert(Source::Engine(engine));
        if let Some(Source::Engine(engine)) = self.sources.get_mut(token) {
            let watched = self.epoll.add(engine.as_fd(), token, Trigger::Readable);
            if watched.is_err() {
                self.sources.remove(token);
            } else {
                self.engines += 1;
            }
            return watched;
        }
        Ok(())
    }

    fn request(&mut self, token: Token) {
        let Some(Source::Engine(engine)) = self.sources.get_mut(token) else {
            return;
        };
        let mut packet = Vec::new();
        let (length, fds) = match engine.recv(&mut packet) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => (0, Vec::new()),
        };
        if length == 0 {
            self.sources.remove(token);
            self.engines -= 1;
            return;
        }
        let reply = match postcard::from_bytes(&packet) {
            Ok(request) => self.serve(request, fds),
            Err(error) => Reply::Failed(format!("not understood: {error}")),
        };
        let sent = postcard::to_allocvec(&reply).map_err(io::Error::other);
        let Some(Source::Engine(engine)) = self.sources.get_mut(token) else {
            return;
        };
        if sent.and_then(|bytes| engine.send(&bytes, &[])).is_err() {
            self.sources.remove(token);
            self.engines -= 1;
        }
    }

    fn serve(&mut self, request: Request, fds: Vec<OwnedFd>) -> Reply {
        match request {
            Request::Hello { .. } => Reply::Hello {
                version: VERSION,
                pid: std::process::id(),
            },
            Request::Retire => {
                self.retired = true;
                Reply::Done
            }
            Request::State => Reply::State(self.held()),
            Request::Publish { container, ports } => self.publish(&container, &ports, fds),
            Request::Unpublish { container } => {
                self.unpublish(&container);
                Reply::Done
            }
            Request::Forget { container } => {
                self.unpublish(&container);
                self.stop_resolving(&container);
                self.names.forget(&container);
                Reply::Done
            }
            Request::Resolve { container, view } => {
                let container = self.name(&container);
                match self.resolve(&container, view, fds) {
                    Ok(()) => Reply::Done,
                    Err(error) => {
                        self.stop_resolving(&container);
                        Reply::Failed(error.to_string())
                    }
                }
            }
            Request::Join { network, member } => {
                self.names.join(&network, member);
                Reply::Done
            }
            Request::Leave { network, container } => {
                self.names.leave(&network, &container);
                Reply::Done
            }
        }
    }

    fn publish(&mut self, container: &str, ports: &[Port], fds: Vec<OwnedFd>) -> Reply {
        if ports.len() != fds.len() {
            return Reply::Failed(format!("{} ports, {} sockets", ports.len(), fds.len()));
        }
        let owner = self.name(container);
        for (port, socket) in ports.iter().zip(fds) {
            if let Err(error) = self.hold(&owner, *port, socket) {
                self.unpublish(container);
                return Reply::Failed(error.to_string());
            }
        }
        Reply::Done
    }

    /// One copy of each container's id.
    fn name(&self, container: &str) -> Rc<str> {
        self.ports
            .get_key_value(container)
            .map_or_else(|| Rc::from(container), |(name, _)| name.clone())
    }

    fn held(&self) -> Vec<protocol::Held> {
        let containers: BTreeSet<&Rc<str>> =
            self.ports.keys().chain(self.resolvers.keys()).collect();
        let held = |container: &Rc<str>| protocol::Held {
            container: container.to_string(),
            ports: self.ports.get(container).map_or(0, Vec::len),
            resolves: self.resolvers.contains_key(container),
        };
        containers.into_iter().map(held).collect()
    }
}
