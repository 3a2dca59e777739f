//! Answers: their status, their fields, and their body as it comes.

use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;

use crate::connection::Connection;
use crate::head::Head;
use crate::{Error, Result};

/// Where a connection waits for the next request.
pub(crate) type Idle = Arc<Mutex<Option<Connection>>>;

/// An answer whose body has not been read yet.
#[derive(Debug)]
pub struct Response {
    head: Head,
    /// What follows the head.
    pub body: Body,
}

impl Response {
    pub(crate) fn new(head: Head, connection: Connection, idle: Idle) -> Self {
        let chunked = head
            .field("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        let length = head
            .field("content-length")
            .and_then(|value| value.parse().ok());
        let framing = match (head.status, chunked, length) {
            (204 | 304, ..) => Framing::Length(0),
            (_, true, _) => Framing::Chunked {
                left: 0,
                first: true,
            },
            (_, false, Some(length)) => Framing::Length(length),
            (_, false, None) => Framing::UntilClose,
        };
        let reusable = !head
            .field("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Self {
            head,
            body: Body {
                connection: Some(connection),
                framing,
                idle,
                reusable,
            },
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The value of a header field, by its name in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// Turns an answer that reports a failure into an error.
    pub(crate) async fn checked(mut self) -> Result<Self> {
        let status = self.status();
        // 304: what was asked for is so already, which is no failure to a client.
        if (200..400).contains(&status) {
            return Ok(self);
        }
        let body = self.body.collect().await.unwrap_or_default();
        Err(Error::Status {
            status,
            message: error_message(status, &body),
        })
    }
}

fn error_message(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let decoded: Option<String> = serde_json::from_slice(body)
        .ok()
        .and_then(|value: serde_json::Value| Some(value.get("message")?.as_str()?.to_owned()));
    match decoded {
        Some(message) => message,
        None if text.trim().is_empty() => format!("request returned {status}"),
        None => text.trim().to_owned(),
    }
}

/// The body of an answer. Read to its end, it leaves its connection for the next request.
#[derive(Debug)]
pub struct Body {
    connection: Option<Connection>,
    framing: Framing,
    idle: Idle,
    reusable: bool,
}

#[derive(Debug)]
enum Framing {
    Length(u64),
    Chunked { left: u64, first: bool },
    UntilClose,
}

impl Body {
    /// The next piece, as soon as it is there; `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(connection) = self.connection.as_mut() else {
            return Ok(None);
        };
        let left = match &mut self.framing {
            Framing::UntilClose => u64::MAX,
            Framing::Length(left) => *left,
            Framing::Chunked { left, first } => {
                if *left == 0 {
                    *left = next_chunk(connection, std::mem::replace(first, false)).await?;
                }
                *left
            }
        };
        if left == 0 {
            self.release();
            return Ok(None);
        }
        if connection.buffered().is_empty() && !connection.fill().await? {
            let complete = matches!(self.framing, Framing::UntilClose);
            self.connection = None;
            return if complete {
                Ok(None)
            } else {
                Err(Error::Protocol("its body ended early"))
            };
        }
        let take = connection
            .buffered()
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let piece = connection.buffered()[..take].to_vec();
        connection.consume(take);
        match &mut self.framing {
            Framing::Length(left) | Framing::Chunked { left, .. } => *left -= take as u64,
            Framing::UntilClose => {}
        }
        Ok(Some(piece))
    }

    /// The whole body.
    pub async fn collect(&mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(mut piece) = self.chunk().await? {
            if all.is_empty() {
                all = piece;
            } else {
                all.append(&mut piece);
            }
        }
        Ok(all)
    }

    /// The whole body, decoded.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        Ok(serde_json::from_slice(&self.collect().await?)?)
    }

    /// Passes each JSON value of a stream of them to `each`, as it comes.
    pub async fn values(&mut self, each: &mut dyn FnMut(serde_json::Value)) -> Result<()> {
        let mut pending = Vec::new();
        while let Some(piece) = self.chunk().await? {
            pending.extend_from_slice(&piece);
            let mut stream = serde_json::Deserializer::from_slice(&pending).into_iter();
            let mut consumed = 0;
            while let Some(value) = stream.next() {
                match value {
                    Ok(value) => each(value),
                    Err(error) if error.is_eof() => break,
                    Err(error) => return Err(error.into()),
                }
                consumed = stream.byte_offset();
            }
            pending.drain(..consumed);
        }
        Ok(())
    }

    fn release(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.reusable
            && !matches!(self.framing, Framing::UntilClose)
        {
            *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        }
    }
}

/// Reads the line before a chunk; 0 after the last one, when the trailer has been read as well.
async fn next_chunk(connection: &mut Connection, first: bool) -> Result<u64> {
    if !first {
        connection.line(2).await?;
    }
    let line = connection.line(1024).await?;
    let size = line.split(';').next().unwrap_or_default().trim();
    let size =
        u64::from_str_radix(size, 16).map_err(|_| Error::Protocol("a chunk without size"))?;
    if size == 0 {
        while !connection.line(8192).await?.is_empty() {}
    }
    Ok(size)
}
