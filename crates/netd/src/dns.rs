//! The server at 127.0.0.11 of every container that has one: names of its networks are answered, other questions are passed
//! on, as bytes: to servers that the container was given from inside it, to the host's from the host.
//!
//! ```text
//! container ──question──> known here? ──yes──> answer, NOERROR (without addresses, if only of the other family)
//!                              │no
//!                              ├─ nobody to ask: SERVFAIL
//!                              └─> the first resolver; silent or failing: the next; the last one's answer, or SERVFAIL
//! ```
//!
//! Bounded: so many questions at a time for one container and for all, so long for each.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use sys::epoll::Trigger;
use sys::{inet, netns};

use crate::dns::codec::{A, AAAA, Code, PTR, Query, Record};
use crate::dns::names::Known;
use crate::dns::upstream::Upstream;
use crate::protocol::View;
use crate::server::{Server, Source};
use crate::slab::Token;

pub mod codec;
pub(crate) mod names;
pub(crate) mod stream;
pub(crate) mod upstream;

/// Datagrams taken at once, before others have their turn.
const TURN: usize = 64;
/// Questions that are on their way to resolvers.
const ASKED: usize = 1024;
const ASKED_BY_ONE: usize = 256;
/// All resolvers together have less time than a container's own patience, five seconds for each attempt.
const PATIENCE: Duration = Duration::from_millis(4500);
/// The largest question or answer by datagram.
const DATAGRAM: usize = 4096;
const DNS: u16 = 53;

/// One container's server.
#[derive(Debug)]
pub(crate) struct Resolver {
    pub(crate) view: View,
    /// Its sockets in the container's namespace: for datagrams, for connections.
    pub(crate) sockets: Vec<Token>,
    /// Questions of it that are on their way.
    pub(crate) asked: usize,
    /// Its connections.
    pub(crate) streams: usize,
}

/// Who is to get an answer.
#[derive(Clone, Debug)]
pub(crate) enum Asker {
    /// A client of this socket.
    Datagram(Token, SocketAddr),
    /// The client of this connection.
    Stream(Token),
}

/// A question on its way to a resolver.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) container: Rc<str>,
    pub(crate) asker: Asker,
    pub(crate) query: Query,
    /// As it came.
    pub(crate) message: Vec<u8>,
    /// Under this number it was passed on.
    id: u16,
    /// Those not asked so far; the last is next.
    servers: Vec<Upstream>,
    server: Upstream,
    /// Connected to the resolver: an answer from elsewhere does not arrive.
    pub(crate) socket: OwnedFd,
    /// When the next one is asked.
    deadline: Instant,
    share: Duration,
    /// What a resolver said that could not answer, for want of a better one.
    spare: Option<Vec<u8>>,
    /// By connection: what has been received so far.
    pub(crate) stream: Option<stream::Exchange>,
}

impl Server {
    /// Takes a container's sockets and view; without sockets, the view alone, where there is a server that it is for. An
    /// engine that does not know yet that this is another netd has given the sockets to the one before: it brings others when
    /// it hands everything over, unless there is a server already.
    pub(crate) fn resolve(
        &mut self,
        container: &Rc<str>,
        view: View,
        fds: Vec<OwnedFd>,
    ) -> io::Result<()> {
        match self.resolvers.get_mut(container) {
            None if fds.is_empty() => return Ok(()),
            None => {
                let resolver = Resolver {
                    view,
                    sockets: Vec::new(),
                    asked: 0,
                    streams: 0,
                };
                self.resolvers.insert(container.clone(), resolver);
            }
            Some(resolver) => {
                resolver.view = view;
                if fds.is_empty() {
                    return Ok(());
                }
                let old = std::mem::take(&mut resolver.sockets);
                for token in old {
                    self.sources.remove(token);
                }
            }
        }
        for (place, socket) in fds.into_iter().enumerate() {
            let source = if place == 0 {
                Source::Questions(socket, container.clone())
            } else {
                Source::Callers(socket, container.clone())
            };
            let token = self.sources.insert(source);
            if let Some(Source::Questions(socket, _) | Source::Callers(socket, _)) =
                self.sources.get_mut(token)
            {
                self.epoll.add(socket.as_fd(), token, Trigger::Readable)?;
            }
            if let Some(resolver) = self.resolvers.get_mut(container) {
                resolver.sockets.push(token);
            }
        }
        Ok(())
    }

    /// A container's server is wanted no more.
    pub(crate) fn stop_resolving(&mut self, container: &str) {
        let Some(resolver) = self.resolvers.remove(container) else {
            return;
        };
        for token in resolver.sockets {
            self.sources.remove(token);
        }
        let of_it: Vec<Token> = self
            .sources
            .iter_mut()
            .filter_map(|(token, source)| match source {
                Source::Asking(asking) if *asking.container == *container => Some(token),
                Source::Caller(caller) if *caller.container == *container => Some(token),
                _ => None,
            })
            .collect();
        for token in of_it {
            if let Some(Source::Asking(_)) = self.sources.remove(token) {
                self.asked -= 1;
            }
        }
    }

    /// Answers what has come to a container's socket.
    pub(crate) fn questions(&mut self, token: Token) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(DATAGRAM, 0);
        for _ in 0..TURN {
            let Some(Source::Questions(socket, container)) = self.sources.get_mut(token) else {
                break;
            };
            let container = container.clone();
            let Ok(found) = inet::recv_from(socket.as_fd(), &mut buffer) else {
                break;
            };
            let asker = Asker::Datagram(token, found.from);
            self.question(&container, asker, &buffer[..found.length]);
        }
        self.buffer = buffer;
    }

    /// Answers one question, or takes it to a resolver.
    pub(crate) fn question(&mut self, container: &Rc<str>, asker: Asker, message: &[u8]) {
        let query = match codec::read(message) {
            Ok(query) => query,
            Err(Some(code)) => return self.reply(&asker, &codec::refusal(message, code)),
            Err(None) => return,
        };
        let Some(resolver) = self.resolvers.get(container) else {
            return;
        };
        if let Some(records) = self.names.records(&resolver.view, &query) {
            let answer = query.answer(message, Code::NoError, &records, room(&asker, &query));
            return self.reply(&asker, &answer);
        }
        let now = Instant::now();
        let servers = self.upstreams.order(container, &resolver.view, now);
        if servers.is_empty() || self.asked >= ASKED || resolver.asked >= ASKED_BY_ONE {
            return self.fail(&asker, &query, message);
        }
        self.pass_on(container, asker, query, message, servers);
    }

    fn pass_on(
        &mut self,
        container: &Rc<str>,
        asker: Asker,
        query: Query,
        message: &[u8],
        mut servers: Vec<Upstream>,
    ) {
        let share = PATIENCE / u32::try_from(servers.len()).unwrap_or(1);
        servers.reverse();
        let mut spare = None;
        let by_stream = matches!(asker, Asker::Stream(_));
        while let Some(server) = servers.pop() {
            let id = random();
            let Ok((socket, stream)) = self.ask(&server, id, message, by_stream) else {
                continue;
            };
            let asking = Asking {
                container: container.clone(),
                asker,
                query,
                message: message.to_vec(),
                id,
                servers,
                server,
                socket,
                deadline: Instant::now() + share,
                share,
                spare: spare.take(),
                stream,
            };
            return self.watch(asking);
        }
        self.fail(&asker, &query, message);
    }

    fn watch(&mut self, asking: Asking) {
        let (container, trigger) = (
            asking.container.clone(),
            match asking.stream {
                Some(_) => Trigger::Edges,
                None => Trigger::Readable,
            },
        );
        let token = self.sources.insert(Source::Asking(Box::new(asking)));
        if let Some(Source::Asking(asking)) = self.sources.get_mut(token)
            && self
                .epoll
                .add(asking.socket.as_fd(), token, trigger)
                .is_err()
        {
            self.sources.remove(token);
            return;
        }
        self.asked += 1;
        self.waiting = true;
        if let Some(resolver) = self.resolvers.get_mut(&container) {
            resolver.asked += 1;
        }
    }

    /// A resolver has said something.
    pub(crate) fn heard(&mut self, token: Token) {
        let Some(Source::Asking(asking)) = self.sources.get_mut(token) else {
            return;
        };
        let mut buffer = vec![0; DATAGRAM];
        let received = match &mut asking.stream {
            Some(exchange) => exchange.go_on(asking.socket.as_fd()),
            None => inet::recv(asking.socket.as_fd(), &mut buffer).map(|length| {
                buffer.truncate(length);
                Some(buffer)
            }),
        };
        let mut reply = match received {
            Ok(Some(reply)) => reply,
            Ok(None) => return,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            // Nobody listens there.
            Err(_) => return self.ask_next(token, None),
        };
        if reply.len() < 12
            || !codec::answers(&reply, &asking.message, asking.query.end(), asking.id)
        {
            // Not an answer to this question: the right one may still come.
            return;
        }
        reply[..2].copy_from_slice(&asking.message[..2]);
        let failed = [
            Code::ServerFailure as u8,
            Code::Refused as u8,
            Code::NotImplemented as u8,
        ]
        .contains(&codec::code_of(&reply));
        if failed && !asking.servers.is_empty() {
            return self.ask_next(token, Some(reply));
        }
        let (server, asker) = (asking.server.clone(), asking.asker.clone());
        self.upstreams.speaks(&server);
        self.end_asking(token);
        self.reply(&asker, &reply);
    }

    /// Takes a question to the next resolver, or gives up.
    fn ask_next(&mut self, token: Token, reply: Option<Vec<u8>>) {
        let Some(Asking {
            container,
            asker,
            query,
            message,
            servers,
            server,
            share,
            spare,
            ..
        }) = self.end_asking(token)
        else {
            return;
        };
        if reply.is_none() {
            self.upstreams.is_silent(server, Instant::now());
        }
        let spare = reply.or(spare);
        let mut servers = servers;
        let by_stream = matches!(asker, Asker::Stream(_));
        while let Some(server) = servers.pop() {
            let id = random();
            if let Ok((socket, stream)) = self.ask(&server, id, &message, by_stream) {
                return self.watch(Asking {
                    container,
                    asker,
                    query,
                    message,
                    id,
                    servers,
                    server,
                    socket,
                    deadline: Instant::now() + share,
                    share,
                    spare,
                    stream,
                });
            }
        }
        match spare {
            Some(reply) => self.reply(&asker, &reply),
            None => self.fail(&asker, &query, &message),
        }
    }

    /// Sends a question to a resolver under another number.
    fn ask(
        &mut self,
        server: &Upstream,
        id: u16,
        message: &[u8],
        by_stream: bool,
    ) -> io::Result<(OwnedFd, Option<stream::Exchange>)> {
        let address = SocketAddr::new(server.address, DNS);
        let open = || {
            if by_stream {
                inet::begin_tcp(address)
            } else {
                inet::connect_udp(address)
            }
        };
        let socket = match &server.within {
            Some(container) => netns::enter(self.namespace(container)?.as_fd(), open)??,
            None => open()?,
        };
        let mut message = message.to_vec();
        message[..2].copy_from_slice(&id.to_be_bytes());
        if by_stream {
            return Ok((socket, Some(stream::Exchange::new(&message))));
        }
        inet::send(socket.as_fd(), &message)?;
        Ok((socket, None))
    }

    /// A container's network namespace, of which its server's sockets are.
    fn namespace(&mut self, container: &str) -> io::Result<OwnedFd> {
        let resolver = self.resolvers.get(container);
        let token = resolver.and_then(|resolver| resolver.sockets.first().copied());
        match token.and_then(|token| self.sources.get_mut(token)) {
            Some(Source::Questions(socket, _)) => netns::of_socket(socket.as_fd()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn end_asking(&mut self, token: Token) -> Option<Asking> {
        let Some(Source::Asking(asking)) = self.sources.remove(token) else {
            return None;
        };
        self.asked -= 1;
        if let Some(resolver) = self.resolvers.get_mut(&asking.container) {
            resolver.asked -= 1;
        }
        Some(*asking)
    }

    /// Ends what has waited too long; says when to look again, if anything waits.
    pub(crate) fn end_patience(&mut self, now: Instant) -> Option<Instant> {
        let mut next = None::<Instant>;
        let mut late = Vec::new();
        for (token, source) in self.sources.iter_mut() {
            let deadline = match source {
                Source::Asking(asking) => asking.deadline,
                Source::Caller(caller) => caller.deadline,
                _ => continue,
            };
            if deadline <= now {
                late.push(token);
            } else {
                next = Some(next.map_or(deadline, |first| first.min(deadline)));
            }
        }
        for token in late {
            if let Some(Source::Asking(_)) = self.sources.get_mut(token) {
                self.ask_next(token, None);
                // What was asked anew waits for its own time.
                next = Some(next.map_or(now + PATIENCE / 4, |first| first.min(now + PATIENCE / 4)));
            } else {
                self.hang_up(token);
            }
        }
        next
    }

    fn fail(&mut self, asker: &Asker, query: &Query, message: &[u8]) {
        let answer = query.answer(message, Code::ServerFailure, &[], room(asker, query));
        self.reply(asker, &answer);
    }

    pub(crate) fn reply(&mut self, asker: &Asker, answer: &[u8]) {
        match asker {
            Asker::Datagram(socket, client) => {
                if let Some(Source::Questions(socket, _)) = self.sources.get_mut(*socket) {
                    // Its queue is full, or it has gone: it will ask again.
                    drop(inet::send_to(socket.as_fd(), answer, *client, None));
                }
            }
            Asker::Stream(token) => self.reply_to_caller(*token, answer),
        }
    }
}

impl names::Names {
    /// The answer to a question about names of ours; `None`: it is not about those.
    fn records(&self, view: &View, query: &Query) -> Option<Vec<Record>> {
        if !query.internet {
            return None;
        }
        if query.kind == PTR {
            let name = self.name_of(view, query.address()?)?;
            return Some(vec![Record::Name(name)]);
        }
        let wanted = |address: &IpAddr| match query.kind {
            A => address.is_ipv4(),
            AAAA => address.is_ipv6(),
            _ => false,
        };
        // A name that is known is nobody else's, whatever is asked of it.
        match self.look_up(view, &query.name, wanted) {
            Known::Addresses(found) => Some(found.into_iter().map(Record::Address).collect()),
            Known::Nothing => None,
        }
    }
}

/// What an answer may take.
fn room(asker: &Asker, query: &Query) -> usize {
    match asker {
        Asker::Datagram(..) => query.room(),
        Asker::Stream(_) => usize::from(u16::MAX),
    }
}

/// A number that nobody can foresee.
fn random() -> u16 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let hash = std::hash::RandomState::new().build_hasher().finish();
    u16::try_from(hash & 0xffff).unwrap_or(0)
}
