//! Requests: written in one go, answered on the connection they went out on.

use std::io::Read;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;

use crate::body::Idle;
use crate::connection::{Connection, Hijacked, Stream};
use crate::head::Head;
use crate::{Error, Host, Response, Result};

/// What is done to the named object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or acts.
    Post,
    /// Removes.
    Delete,
}

impl Method {
    fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// A request before it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    target: String,
    fields: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// Asks for a path, which may carry a query (see [`query`]).
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            fields: Vec::new(),
            body: None,
        }
    }

    /// Adds a field to its head. The value is ours: no line ends in it.
    pub fn field(mut self, name: &'static str, value: String) -> Self {
        self.fields.push((name, value));
        self
    }

    /// Adds a JSON body.
    pub fn json(mut self, body: &impl Serialize) -> Result<Self> {
        self.body = Some(serde_json::to_vec(body)?);
        Ok(self)
    }
}

/// Appends a query to a path, each value escaped.
pub fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut target = path.to_owned();
    for (index, (key, value)) in pairs.iter().enumerate() {
        target.push(if index == 0 { '?' } else { '&' });
        target.push_str(key);
        target.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                target.push(char::from(byte));
            } else {
                target.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    target
}

/// A daemon's client.
#[derive(Debug)]
pub struct Client {
    host: Host,
    prefix: String,
    idle: Idle,
    spare: Mutex<Option<Stream>>,
}

impl Client {
    /// A client of the daemon at `host`. Without `version` requests name none and the daemon uses its newest: no
    /// negotiation, no round trip.
    pub fn new(host: Host, version: Option<&str>) -> Self {
        let prefix = version
            .map(|version| format!("/v{}", version.trim_start_matches('v')))
            .unwrap_or_default();
        Self {
            host,
            prefix,
            idle: Idle::default(),
            spare: Mutex::default(),
        }
    }

    /// Where the daemon is.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Connects ahead of the first request, so that the caller sees a missing daemon as such.
    pub async fn connect(&self) -> Result<()> {
        let stream = Stream::connect(&self.host).await?;
        *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
        Ok(())
    }

    /// Sends a request and waits for the head of its answer; a status that reports a failure is an error.
    pub async fn send(&self, request: Request) -> Result<Response> {
        let mut connection = self.connection().await?;
        connection
            .stream
            .write_all(&self.head(&request, &[]))
            .await?;
        let head = Head::read(&mut connection).await?;
        Response::new(head, connection, self.idle.clone())
            .checked()
            .await
    }

    /// Sends a request and decodes its answer.
    pub async fn call<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        self.send(request).await?.body.json().await
    }

    /// Sends a request whose answer's body says nothing.
    pub async fn perform(&self, request: Request) -> Result<()> {
        self.send(request).await?.body.collect().await.map(drop)
    }

    /// Sends a body as it is read (an archive), then waits for the head of the answer.
    pub async fn upload(&self, target: &str, source: &mut dyn Read) -> Result<Response> {
        let mut connection = self.connection().await?;
        let request = Request::new(Method::Post, target);
        let fields = [
            ("Content-Type", "application/x-tar"),
            ("Transfer-Encoding", "chunked"),
        ];
        connection
            .stream
            .write_all(&self.head(&request, &fields))
            .await?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = source.read(&mut buffer)?;
            let mut frame = format!("{count:x}\r\n").into_bytes();
            frame.extend_from_slice(&buffer[..count]);
            frame.extend_from_slice(b"\r\n");
            // A daemon that refuses the archive stops reading: its answer tells why.
            if connection.stream.write_all(&frame).await.is_err() || count == 0 {
                break;
            }
        }
        let head = Head::read(&mut connection).await?;
        Response::new(head, connection, self.idle.clone())
            .checked()
            .await
    }

    /// Sends a request that turns its connection into a byte stream.
    pub async fn hijack(&self, request: Request) -> Result<Hijacked> {
        let mut connection = Connection::new(self.stream().await?);
        let fields = [("Connection", "Upgrade"), ("Upgrade", "tcp")];
        connection
            .stream
            .write_all(&self.head(&request, &fields))
            .await?;
        let head = Head::read(&mut connection).await?;
        let content_type = head.field("content-type").unwrap_or_default().to_owned();
        if head.status == 101 || (head.status == 200 && head.field("transfer-encoding").is_none()) {
            return Ok(Hijacked::new(connection, content_type));
        }
        match Response::new(head, connection, self.idle.clone())
            .checked()
            .await
        {
            Ok(_) => Err(Error::Protocol("it did not hand over the connection")),
            Err(error) => Err(error),
        }
    }

    async fn connection(&self) -> Result<Connection> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match idle {
            Some(connection) if connection.is_reusable() => Ok(connection),
            _ => Ok(Connection::new(self.stream().await?)),
        }
    }

    async fn stream(&self) -> Result<Stream> {
        let spare = self
            .spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match spare {
            Some(stream) => Ok(stream),
            None => Stream::connect(&self.host).await,
        }
    }

    fn head(&self, request: &Request, fields: &[(&str, &str)]) -> Vec<u8> {
        let host = match &self.host {
            Host::Unix(_) => "api.moby.localhost",
            Host::Tcp(address) => address,
        };
        let mut head = format!(
            "{} {}{} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: corten\r\n",
            request.method.word(),
            self.prefix,
            request.target
        );
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        for (name, value) in &request.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let chunked = fields.iter().any(|(name, _)| *name == "Transfer-Encoding");
        if let Some(body) = &request.body {
            head.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ));
        } else if request.method == Method::Post && !chunked {
            head.push_str("Content-Length: 0\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(request.body.as_deref().unwrap_or_default());
        bytes
    }
}
