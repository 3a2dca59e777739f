//! What a handler is given: version, path, query, headers and body.

use std::io::{self, Read};

use api::version::ApiVersion;
use bytes::{Buf, Bytes};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::leftover::RequestBody;
use crate::query::Query;

/// The longest JSON body.
pub const JSON_LIMIT: usize = 10 << 20;

/// A request on its way to a handler.
#[derive(Debug)]
pub struct Request {
    /// The version that the client speaks.
    pub version: ApiVersion,
    /// Decoded parameters.
    pub query: Query,
    /// Method, headers and so on.
    pub parts: Parts,
    /// Not read yet.
    pub body: RequestBody,
}

impl Request {
    /// Refuses a parameter that is not built, by its name; an empty one asks for nothing.
    pub fn refuse(&self, parameter: &str) -> Result<()> {
        if self.query.text(parameter).is_empty() {
            return Ok(());
        }
        crate::convert::refused(format!("parameter {parameter}"))
    }

    /// Whether the client asks to leave HTTP with a 101.
    pub fn wants_upgrade(&self) -> bool {
        self.parts.headers.contains_key(http::header::UPGRADE)
    }

    /// The whole body; too long is an error.
    pub async fn bytes(self) -> Result<Bytes> {
        // A length that is told is believed before anything is read.
        if hyper::body::Body::size_hint(&self.body).lower() > JSON_LIMIT as u64 {
            return Err(Error::TooLarge(JSON_LIMIT));
        }
        match Limited::new(self.body, JSON_LIMIT).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(Error::TooLarge(JSON_LIMIT))
            }
            Err(error) => Err(Error::Invalid(format!("read request body: {error}"))),
        }
    }

    /// The body, which must be JSON.
    pub async fn json_bytes(self) -> Result<Bytes> {
        check_type(
            self.parts
                .headers
                .get(CONTENT_TYPE)
                .map(|value| value.to_str().unwrap_or_default()),
            &self.body,
        )?;
        let bytes = self.bytes().await?;
        if bytes.trim_ascii().is_empty() {
            return Err(Error::Invalid(
                "invalid JSON: got EOF while reading request body".to_owned(),
            ));
        }
        Ok(bytes)
    }

    /// The body decoded as Go decodes it.
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T> {
        api::fold::from_slice(&self.json_bytes().await?)
            .map_err(|error| Error::Invalid(format!("invalid JSON: {error}")))
    }

    /// The body as a blocking reader, for archives. Must be read on another thread than the runtime's.
    pub fn reader(self) -> BodyReader {
        let (sender, chunks) = mpsc::channel(4);
        let mut body = self.body;
        tokio::spawn(async move {
            loop {
                let frame = tokio::select! {
                    frame = body.frame() => frame,
                    () = sender.closed() => return,
                };
                let chunk = match frame {
                    None => return,
                    Some(Ok(frame)) => frame.into_data().map(Ok),
                    Some(Err(error)) => {
                        Ok(Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)))
                    }
                };
                if let Ok(chunk) = chunk
                    && sender.send(chunk).await.is_err()
                {
                    return;
                }
            }
        });
        BodyReader {
            chunks,
            current: Bytes::new(),
        }
    }
}

/// moby's check: a body must say that it is JSON, no body need say nothing.
fn check_type(content_type: Option<&str>, body: &RequestBody) -> Result<()> {
    let content_type = content_type.unwrap_or_default();
    if content_type.is_empty() && hyper::body::Body::is_end_stream(body) {
        return Ok(());
    }
    let mime = content_type.split(';').next().unwrap_or_default().trim();
    if mime.is_empty() {
        return Err(Error::Invalid(format!(
            "malformed Content-Type header ({content_type}): mime: no media type"
        )));
    }
    if !mime.eq_ignore_ascii_case("application/json") {
        return Err(Error::Invalid(format!(
            "unsupported Content-Type header ({content_type}): must be 'application/json'"
        )));
    }
    Ok(())
}

/// A request body for code that blocks.
#[derive(Debug)]
pub struct BodyReader {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                None => return Ok(0),
                Some(chunk) => self.current = chunk?,
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
