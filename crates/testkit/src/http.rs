//! A request over the daemon's socket, by hand: independent of the client under test.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, its chunks joined.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; `Null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// Sends one request and reads the whole answer.
pub fn request(socket: &Path, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
    let bytes = body
        .map(serde_json::to_vec)
        .transpose()?
        .unwrap_or_default();
    send(socket, method, path, "application/json", &bytes)
}

/// Sends one request with any body.
pub fn send(socket: &Path, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<Answer> {
    let mut stream =
        UnixStream::connect(socket).with_context(|| format!("connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    // A server that does not read the body may reset the connection after its answer.
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        read.with_context(|| format!("read the answer to {method} {path}"))?;
    }
    parse(&answer).with_context(|| format!("parse the answer to {method} {path}"))
}

fn parse(answer: &[u8]) -> Result<Answer> {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("no end of the headers")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .context("no status")?;
    let rest = &answer[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") {
        join_chunks(rest)
    } else {
        rest.to_vec()
    };
    Ok(Answer { status, body })
}

fn join_chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size =
            usize::from_str_radix(String::from_utf8_lossy(&rest[..end]).trim(), 16).unwrap_or(0);
        let start = end + 2;
        if size == 0 || start + size > rest.len() {
            break;
        }
        body.extend_from_slice(&rest[start..start + size]);
        rest = rest.get(start + size + 2..).unwrap_or_default();
    }
    body
}

/// The shape of a JSON value: objects keep their keys, everything else becomes the name of its type.
///
/// The keys of objects that are maps of users' words (labels, ports, networks) are not a shape; `*` stands for them.
pub fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let inner = if MAPS.contains(&key.as_str()) {
                    map_shape(value)
                } else {
                    shape(value)
                };
                (key.clone(), inner)
            })
            .collect(),
        Value::Array(items) => items
            .first()
            .map_or_else(|| "array".into(), |first| Value::Array(vec![shape(first)])),
        Value::String(_) => "string".into(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Null => "null".into(),
    }
}

/// Keys whose values are maps from a user's word to something.
const MAPS: &[&str] = &[
    "Annotations",
    "ExposedPorts",
    "Labels",
    "Networks",
    "PortBindings",
    "Ports",
    "Runtimes",
    "Storage",
    "Sysctls",
    "Tmpfs",
    "Volumes",
    "Data",
];

fn map_shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.values().next().map_or_else(
            || "object".into(),
            |first| Value::Object([("*".to_owned(), shape(first))].into_iter().collect()),
        ),
        other => shape(other),
    }
}
