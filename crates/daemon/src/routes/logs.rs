//! What a container has written, framed when it has no terminal.

use std::sync::Arc;

use api::stdcopy;
use bytes::{Bytes, BytesMut};
use engine::Engine;
use engine::ops::container::logs::{Line, Logs, Source};
use http::StatusCode;

use super::Daemon;
use crate::answer::{Answer, with_type};
use crate::body::Body;
use crate::convert;
use crate::error::Result;
use crate::hijack::Wire;
use crate::request::Request;

/// `GET /containers/{id}/logs`.
pub async fn logs(daemon: &Arc<Daemon>, request: &Request, id: &str) -> Result<Answer> {
    let which = convert::logs::request(&request.query)?;
    let timestamps = request.query.flag("timestamps");
    let mut stream = engine::ops::container::logs(&daemon.engine, id, which).await?;
    let tty = stream.tty;
    let (sender, body) = Body::stream();
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                next = stream.lines.recv() => next,
                () = sender.closed() => return,
            };
            let chunk = match next {
                None => return,
                Some(Ok(line)) => encode(&line, tty, timestamps),
                Some(Err(error)) => failure(&error, tty),
            };
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
    });
    let framed = !tty && request.version.at_least(42);
    let content_type = if framed {
        stdcopy::MULTIPLEXED
    } else {
        stdcopy::RAW
    };
    Ok(with_type(StatusCode::OK, content_type, body).into())
}

/// Writes the log so far to a connection that is about to be attached.
pub async fn replay(engine: &Arc<Engine>, id: &str, which: Logs, wire: &Wire) {
    let Ok(mut stream) = engine::ops::container::logs(engine, id, which).await else {
        return;
    };
    while let Some(Ok(line)) = stream.lines.recv().await {
        if wire
            .connection
            .write_all(&encode(&line, stream.tty, false))
            .await
            .is_err()
        {
            return;
        }
    }
}

/// A line as it is sent.
fn encode(line: &Line, tty: bool, timestamps: bool) -> Bytes {
    let stream = match line.source {
        Source::Stdout => stdcopy::Stream::Stdout,
        Source::Stderr => stdcopy::Stream::Stderr,
    };
    let stamp = if timestamps {
        format!("{} ", convert::time::nanos(line.time))
    } else {
        String::new()
    };
    frame((!tty).then_some(stream), stamp.as_bytes(), &line.bytes)
}

/// An error after the head of the answer: the frame that Docker has for it.
fn failure(error: &engine::Error, tty: bool) -> Bytes {
    let text = format!("Error grabbing logs: {error}\n");
    frame(
        (!tty).then_some(stdcopy::Stream::System),
        b"",
        text.as_bytes(),
    )
}

/// A frame, or the bytes alone.
pub(super) fn frame(stream: Option<stdcopy::Stream>, stamp: &[u8], bytes: &[u8]) -> Bytes {
    let length = u32::try_from(stamp.len() + bytes.len()).unwrap_or(u32::MAX);
    let mut chunk = BytesMut::with_capacity(stdcopy::HEADER + stamp.len() + bytes.len());
    if let Some(stream) = stream {
        chunk.extend_from_slice(&stdcopy::header(stream, length));
    }
    chunk.extend_from_slice(stamp);
    chunk.extend_from_slice(bytes);
    chunk.freeze()
}
