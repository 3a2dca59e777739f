//! Netlink sockets: several messages in one send, and what the kernel answered to each.
//!
//! A socket belongs for life to the network namespace of the thread that opened it; it may be used from any other.
//! The kernel handles requests inside `sendmsg`, so that all acknowledgements wait in the queue when it returns: nothing
//! here ever blocks.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// This message is a request.
pub const REQUEST: u16 = 0x001;
/// Answer with an acknowledgement even when all went well.
pub const ACK: u16 = 0x004;
/// Return all that match.
pub const DUMP: u16 = 0x300;
/// Fail when the object exists.
pub const EXCL: u16 = 0x200;
/// Replace the object when it exists.
pub const REPLACE: u16 = 0x100;
/// Make the object when it does not exist.
pub const CREATE: u16 = 0x400;
/// Put the object at the end of its list.
pub const APPEND: u16 = 0x800;

const HEADER: usize = 16;
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const FLAG_CAPPED: u16 = 0x100;
const FLAG_ACK_TLVS: u16 = 0x200;
const ERROR_TEXT: u16 = 1;
/// The group of changes to interfaces (`RTNLGRP_LINK` is 1: the first bit).
const LINKS: u32 = 1;
/// Larger than any datagram the kernel makes for a dump (32 KiB).
const BUFFER: usize = 64 * 1024;

/// Which part of the kernel a socket speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes, neighbours.
    Route,
    /// Packet filters.
    Netfilter,
}

/// One netlink message under construction. Lengths and sequence numbers are filled in by the socket.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Starts a message of a type, with [`REQUEST`] and the given flags.
    pub fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | REQUEST).to_ne_bytes());
        Self { bytes }
    }

    /// Appends plain bytes (the fixed header of the message's family), padded to four.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Appends one attribute.
    ///
    /// # Panics
    /// When the payload does not fit an attribute (64 KiB).
    pub fn attribute(mut self, kind: u16, payload: &[u8]) -> Self {
        let length = u16::try_from(payload.len() + 4).expect("attributes are small");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(payload);
        self.pad();
        self
    }

    /// Appends a string attribute with its closing zero.
    pub fn string(self, kind: u16, text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Appends an attribute that holds what `fill` appends.
    ///
    /// # Panics
    /// When the content does not fit an attribute (64 KiB).
    pub fn nest(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        let mut filled = fill(self);
        let length = u16::try_from(filled.bytes.len() - start).expect("attributes are small");
        filled.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        filled
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn flags(&self) -> u16 {
        u16_at(&self.bytes, 6)
    }

    fn finish(&self, sequence: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        out[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
    }
}

/// The kernel refused a message.
#[derive(Debug)]
pub struct Refused {
    /// Which of the messages, counted from zero; none when the send itself failed.
    pub index: Option<usize>,
    /// Why.
    pub error: io::Error,
    /// The kernel's own words, where it has some.
    pub text: Option<String>,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.error)?;
        match &self.text {
            Some(text) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refused {}

impl Refused {
    /// Whether the reason is this error number.
    pub fn is(&self, errno: i32) -> bool {
        self.error.raw_os_error() == Some(errno)
    }

    /// The object exists already.
    pub fn exists(&self) -> bool {
        self.is(libc::EEXIST)
    }

    /// The object, or the device it names, does not exist.
    pub fn missing(&self) -> bool {
        self.is(libc::ENODEV) || self.is(libc::ENOENT)
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self {
            index: None,
            error,
            text: None,
        }
    }
}

/// An open netlink socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: AtomicU32,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open(protocol: Protocol) -> io::Result<Self> {
        let protocol = match protocol {
            Protocol::Route => None, // zero, which rustix writes as "the default"
            Protocol::Netfilter => Some(netlink::NETFILTER),
        };
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            protocol,
        )?;
        // Both options only make answers better: an old kernel without them still answers.
        enable(&fd, libc::NETLINK_EXT_ACK);
        enable(&fd, libc::NETLINK_CAP_ACK);
        Ok(Self {
            fd,
            sequence: AtomicU32::new(1),
        })
    }

    /// Opens a socket that hears of every change to an interface in the calling thread's network namespace; it is readable
    /// when there is one.
    pub fn listen_to_links() -> io::Result<Self> {
        let socket = Self::open(Protocol::Route)?;
        rustix::net::bind(&socket.fd, &SocketAddrNetlink::new(0, LINKS))?;
        Ok(socket)
    }

    /// What has been heard: types and payloads of messages, none if nothing has.
    ///
    /// # Errors
    ///
    /// `ENOBUFS`: more has happened than the socket keeps, and some of it is lost.
    pub fn heard(&self) -> io::Result<Vec<(u16, Vec<u8>)>> {
        let mut buffer = vec![0; BUFFER];
        match rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::empty()) {
            Ok((_, length)) => Ok(replies(&buffer[..length.min(BUFFER)])
                .filter_map(|reply| match reply.content {
                    Content::Data(payload) => Some((reply.kind, payload.to_vec())),
                    Content::Done | Content::Answer(_) => None,
                })
                .collect()),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends all messages at once and returns the first refusal. Messages after a refused one may have been carried out,
    /// unless they form one netfilter batch.
    pub fn transact(&self, messages: &[Message]) -> Result<(), Refused> {
        let refusals = self.transact_all(messages)?;
        refusals.into_iter().next().map_or(Ok(()), Err)
    }

    /// Sends all messages at once and returns every refusal.
    pub fn transact_all(&self, messages: &[Message]) -> io::Result<Vec<Refused>> {
        let first = self.send(messages)?;
        let mut pending = messages
            .iter()
            .filter(|message| message.flags() & ACK != 0)
            .count();
        let mut refusals = Vec::new();
        let mut buffer = vec![0; BUFFER];
        // With an answer to each message there is nothing left to read; without, the empty queue ends it.
        while pending > 0 || refusals.is_empty() {
            let length = match rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::empty()) {
                Ok((_, length)) => length.min(BUFFER),
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for reply in replies(&buffer[..length]) {
                let Content::Answer(refused) = reply.content else {
                    continue;
                };
                pending = pending.saturating_sub(1);
                if let Some(mut refused) = refused {
                    refused.index = Some(reply.sequence.wrapping_sub(first) as usize);
                    refusals.push(refused);
                }
            }
            if pending == 0 {
                break;
            }
        }
        Ok(refusals)
    }

    /// Sends one dump or get request and returns the messages it produced, each without its netlink header.
    pub fn query(&self, message: &Message) -> Result<Vec<Vec<u8>>, Refused> {
        self.send(std::slice::from_ref(message))?;
        let mut found = Vec::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = match rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::empty()) {
                Ok((_, length)) => length.min(BUFFER),
                Err(rustix::io::Errno::AGAIN) => return Ok(found),
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(io::Error::from(error).into()),
            };
            for reply in replies(&buffer[..length]) {
                match reply.content {
                    Content::Done => return Ok(found),
                    Content::Answer(refused) => return refused.map_or(Ok(found), Err),
                    Content::Data(payload) => found.push(payload.to_vec()),
                }
            }
        }
    }

    fn send(&self, messages: &[Message]) -> io::Result<u32> {
        let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        let first = self.sequence.fetch_add(count, Ordering::Relaxed);
        let mut bytes =
            Vec::with_capacity(messages.iter().map(|message| message.bytes.len()).sum());
        for (sequence, message) in (first..).zip(messages) {
            message.finish(sequence, &mut bytes);
        }
        rustix::net::sendto(
            &self.fd,
            &bytes,
            SendFlags::empty(),
            &SocketAddrNetlink::new(0, 0),
        )?;
        Ok(first)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Splits attributes into (type, payload); stops at the first damaged one.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.len() < 4 {
            return None;
        }
        let length = usize::from(u16_at(rest, 0));
        let kind = u16_at(rest, 2) & TYPE_MASK;
        if length < 4 || length > rest.len() {
            return None;
        }
        let payload = &rest[4..length];
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, payload))
    })
}

/// The payload of the first attribute of this type.
pub fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes)
        .find(|(kind, _)| *kind == wanted)
        .map(|(_, value)| value)
}

/// One message of the kernel's.
#[derive(Debug)]
pub struct Reply<'a> {
    /// Its type.
    pub kind: u16,
    /// The number of the request that it answers.
    pub sequence: u32,
    /// What it says.
    pub content: Content<'a>,
}

/// What a message of the kernel's says.
#[derive(Debug)]
pub enum Content<'a> {
    /// What was asked for, without its netlink header.
    Data(&'a [u8]),
    /// There is no more.
    Done,
    /// The request was carried out, or refused.
    Answer(Option<Refused>),
}

/// Splits a datagram into its messages; stops at the first damaged one.
pub fn replies(bytes: &[u8]) -> impl Iterator<Item = Reply<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.len() < HEADER {
            return None;
        }
        let length = u32_at(rest, 0) as usize;
        if length < HEADER || length > rest.len() {
            return None;
        }
        let (kind, flags, sequence) = (u16_at(rest, 4), u16_at(rest, 6), u32_at(rest, 8));
        let payload = &rest[HEADER..length];
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        let content = match kind {
            NLMSG_DONE => Content::Done,
            NLMSG_ERROR => Content::Answer(refusal(flags, payload)),
            _ => Content::Data(payload),
        };
        Some(Reply {
            kind,
            sequence,
            content,
        })
    })
}

/// An error message with number zero is an acknowledgement.
fn refusal(flags: u16, payload: &[u8]) -> Option<Refused> {
    if payload.len() < 4 + HEADER {
        return Some(io::Error::from(io::ErrorKind::InvalidData).into());
    }
    let number = i32::from_ne_bytes([payload[0], payload[1], payload[2], payload[3]]);
    if number == 0 {
        return None;
    }
    let mut text = None;
    if flags & FLAG_ACK_TLVS != 0 {
        let original = if flags & FLAG_CAPPED != 0 {
            HEADER
        } else {
            u32_at(payload, 4) as usize
        };
        let extra = payload
            .get(4 + original.next_multiple_of(4)..)
            .unwrap_or_default();
        text = attributes(extra)
            .find(|(kind, _)| *kind == ERROR_TEXT)
            .map(|(_, text)| {
                String::from_utf8_lossy(text)
                    .trim_end_matches('\0')
                    .to_owned()
            });
    }
    Some(Refused {
        index: None,
        error: io::Error::from_raw_os_error(number.wrapping_neg()),
        text,
    })
}

fn enable(fd: &OwnedFd, option: i32) {
    let one: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: setsockopt reads `length` bytes from the pointer; `one` is a local of exactly that size and outlives the call.
    let _ignored = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const one).cast(),
            length,
        )
    };
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_attribute_is_read_back() {
        let message = Message::new(16, ACK)
            .raw(&[1, 2])
            .nest(5, |m| m.string(1, "abc").attribute(2, &[9]));
        let found: Vec<_> = attributes(&message.bytes[HEADER + 4..]).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, 5);
        let inner: Vec<_> = attributes(found[0].1).collect();
        assert_eq!(inner, vec![(1, &b"abc\0"[..]), (2, &[9][..])]);
    }

    #[test]
    fn a_damaged_attribute_ends_the_list() {
        assert_eq!(attributes(&[200, 0, 1, 0, 1]).count(), 0);
        assert_eq!(attributes(&[0, 0, 0, 0]).count(), 0);
        assert_eq!(attributes(&[1]).count(), 0);
    }

    #[test]
    fn a_question_about_the_loopback_interface_is_answered() {
        let socket = Socket::open(Protocol::Route).unwrap();
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&1_i32.to_ne_bytes());
        let found = socket.query(&Message::new(18, 0).raw(&header)).unwrap();
        assert!(attributes(&found[0][16..]).any(|(kind, payload)| kind == 3 && payload == b"lo\0"));
    }

    #[test]
    fn an_unknown_interface_is_refused_with_its_number() {
        let socket = Socket::open(Protocol::Route).unwrap();
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&i32::MAX.to_ne_bytes());
        let refused = socket.query(&Message::new(18, 0).raw(&header)).unwrap_err();
        assert!(refused.missing(), "{refused}");
    }
}
