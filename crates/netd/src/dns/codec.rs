//! As much of the DNS message format as a server of few names needs: one question is read, answers are written, everything
//! else passes through as bytes. RFC 1035, and the one record of RFC 6891 that says how much a client can take.
//!
//! What is read comes from containers and from the network: nothing here fails but by refusing, and no name is followed
//! through pointers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A client without EDNS takes no more by datagram.
const PLAIN: u16 = 512;
/// What is offered to clients with EDNS, and the most that is sent to them: it passes every path unfragmented.
const OFFERED: u16 = 1232;
const HEADER: usize = 12;
/// Records of a query that are looked at for the one of EDNS.
const RECORDS: u16 = 8;

/// An IPv4 address.
pub const A: u16 = 1;
/// A name.
pub const PTR: u16 = 12;
/// An IPv6 address.
pub const AAAA: u16 = 28;
const OPT: u16 = 41;
const INTERNET: u16 = 1;
/// Seconds an answer may be kept, as Docker's.
const LIFETIME: u32 = 600;

/// How a question ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// With an answer, which may be empty.
    NoError = 0,
    /// It cannot be read.
    FormatError = 1,
    /// Nobody could answer.
    ServerFailure = 2,
    /// It is no question.
    NotImplemented = 4,
    /// It is not answered for this client.
    Refused = 5,
}

/// A question, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Lower case, without a closing dot; empty for the root.
    pub name: String,
    /// The record type that is asked for.
    pub kind: u16,
    /// Of the Internet's class.
    pub internet: bool,
    /// Where the question ends.
    end: usize,
    /// What the client takes by datagram, if it says so.
    room: Option<u16>,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The name's address.
    Address(IpAddr),
    /// The address's name.
    Name(String),
}

/// Reads a query; `Err` is how it is to be answered, `None` that it is not to be answered at all.
pub fn read(message: &[u8]) -> Result<Query, Option<Code>> {
    let header = message.get(..HEADER).ok_or(None)?;
    if header[2] & 0x80 != 0 {
        // An answer: answering it might go on for ever.
        return Err(None);
    }
    if header[2] & 0x78 != 0 {
        return Err(Some(Code::NotImplemented));
    }
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    if count(4) != 1 {
        return Err(Some(Code::FormatError));
    }
    let (name, at) = question_name(message).ok_or(Some(Code::FormatError))?;
    let kind = u16_at(message, at).ok_or(Some(Code::FormatError))?;
    let class = u16_at(message, at + 2).ok_or(Some(Code::FormatError))?;
    let end = at + 4;
    let others = count(6).saturating_add(count(8)).saturating_add(count(10));
    Ok(Query {
        name,
        kind,
        internet: class == INTERNET,
        end,
        room: room(message, end, others),
    })
}

/// The question's name and where it ends. Bytes that are no letters of a host name stay what they are, or are replaced:
/// such a name is none of ours and passes on as bytes.
fn question_name(message: &[u8]) -> Option<(String, usize)> {
    let (mut bytes, mut at) = (Vec::new(), HEADER);
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        match length {
            0 => break,
            1..64 => {
                if !bytes.is_empty() {
                    bytes.push(b'.');
                }
                bytes.extend(message.get(at..at + length)?.to_ascii_lowercase());
                at += length;
            }
            // A pointer, of which the first name has nothing to point at, or a kind of label that nobody uses.
            _ => return None,
        }
        if bytes.len() > 253 {
            return None;
        }
    }
    Some((String::from_utf8_lossy(&bytes).into_owned(), at))
}

/// What the client takes by datagram, according to a record behind the question.
fn room(message: &[u8], mut at: usize, records: u16) -> Option<u16> {
    for _ in 0..records.min(RECORDS) {
        at = skip_name(message, at)?;
        let (kind, class) = (u16_at(message, at)?, u16_at(message, at + 2)?);
        if kind == OPT {
            return Some(class);
        }
        at += 10 + usize::from(u16_at(message, at + 8)?);
    }
    None
}

/// Where a name ends that is not of interest; its pointers are not followed.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*message.get(at)?) {
            0 => return Some(at + 1),
            length @ 1..64 => at += 1 + length,
            192.. => return Some(at + 2),
            _ => return None,
        }
    }
}

fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([
        *message.get(at)?,
        *message.get(at + 1)?,
    ]))
}

impl Query {
    /// What an answer by datagram may take.
    pub fn room(&self) -> usize {
        let room = self.room.unwrap_or(PLAIN);
        usize::from(room.clamp(PLAIN, OFFERED))
    }

    /// The address that a question for a name by address asks about.
    pub fn address(&self) -> Option<IpAddr> {
        if let Some(digits) = self.name.strip_suffix(".in-addr.arpa") {
            let mut octets = [0; 4];
            let mut parts = digits.split('.').rev();
            for octet in &mut octets {
                *octet = parts.next()?.parse().ok()?;
            }
            return parts
                .next()
                .is_none()
                .then(|| Ipv4Addr::from(octets).into());
        }
        let digits = self.name.strip_suffix(".ip6.arpa")?;
        let mut number = 0_u128;
        let mut count = 0;
        for digit in digits.split('.').rev() {
            let [digit] = digit.as_bytes() else {
                return None;
            };
            number = number << 4 | u128::from(char::from(*digit).to_digit(16)?);
            count += 1;
        }
        (count == 32).then(|| Ipv6Addr::from(number).into())
    }

    /// Writes the answer to this question. What does not fit is left out, and the client is told to ask by connection.
    pub fn answer(&self, message: &[u8], code: Code, records: &[Record], most: usize) -> Vec<u8> {
        let mut answer = reply_header(message, code);
        answer[5] = 1;
        answer.extend_from_slice(&message[HEADER..self.end]);
        let extension = if self.room.is_some() { 11 } else { 0 };
        let mut count = 0_u16;
        for record in records {
            let (kind, data) = record.bytes();
            if answer.len() + 12 + data.len() + extension > most {
                answer[2] |= 2;
                break;
            }
            // The name is the question's, which stands at the message's 12th byte.
            answer.extend_from_slice(&[0xc0, 12]);
            answer.extend_from_slice(&kind.to_be_bytes());
            answer.extend_from_slice(&INTERNET.to_be_bytes());
            answer.extend_from_slice(&LIFETIME.to_be_bytes());
            answer.extend_from_slice(&u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
            answer.extend_from_slice(&data);
            count += 1;
        }
        answer[6..8].copy_from_slice(&count.to_be_bytes());
        if self.room.is_some() {
            answer[11] = 1;
            let [high, low] = OFFERED.to_be_bytes();
            answer.extend_from_slice(&[0, 0, 41, high, low, 0, 0, 0, 0, 0, 0]);
        }
        answer
    }
}

/// The answer to a query that could not be read.
pub fn refusal(message: &[u8], code: Code) -> Vec<u8> {
    reply_header(message, code)
}

fn reply_header(message: &[u8], code: Code) -> Vec<u8> {
    let mut header = vec![0; HEADER];
    header[..2].copy_from_slice(&message[..2]);
    // An answer; the kind of question and the wish for recursion as they came; recursion is there.
    header[2] = 0x80 | (message[2] & 0x79);
    header[3] = 0x80 | code as u8;
    header
}

impl Record {
    fn bytes(&self) -> (u16, Vec<u8>) {
        match self {
            Self::Address(IpAddr::V4(four)) => (A, four.octets().to_vec()),
            Self::Address(IpAddr::V6(six)) => (AAAA, six.octets().to_vec()),
            Self::Name(name) => {
                let mut bytes = Vec::with_capacity(name.len() + 2);
                for label in name.split('.').filter(|label| !label.is_empty()) {
                    let label = &label.as_bytes()[..label.len().min(63)];
                    bytes.push(u8::try_from(label.len()).unwrap_or(63));
                    bytes.extend_from_slice(label);
                }
                bytes.push(0);
                (PTR, bytes)
            }
        }
    }
}

/// Whether a message answers this query under this number: the same question, unchanged.
pub fn answers(reply: &[u8], query: &[u8], end: usize, id: u16) -> bool {
    reply.len() >= end
        && reply[..2] == id.to_be_bytes()
        && reply[2] & 0x80 != 0
        && reply[4..6] == [0, 1]
        && reply[HEADER..end].eq_ignore_ascii_case(&query[HEADER..end])
}

/// How a reply ends, by its number.
pub fn code_of(reply: &[u8]) -> u8 {
    reply.get(3).map_or(0, |byte| byte & 0x0f)
}

impl Query {
    /// Where the question ends in its message.
    pub fn end(&self) -> usize {
        self.end
    }
}

#[cfg(test)]
mod tests;
