//! Uploads: mounted where the registry has it, else in one piece, or in chunks where the registry asks for them.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::{self, HeaderMap, HeaderValue};
use ::http::{Method, Response, StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use oci::Digest;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::endpoint::Endpoint;
use super::http::{Body, Call};
use super::repository::{Need, Repository};
use super::send::{ATTEMPTS, pause, redirected};
use super::url::Url;
use crate::error::Cause;
use crate::wire::{path, range};
use crate::{Error, Result};

/// A registry may need so long to check and store what it was sent.
pub(super) const COMMIT: Duration = Duration::from_mins(10);
/// An upload that moves no byte in so long stands still.
const STALL: Duration = Duration::from_mins(2);
/// No upload takes longer, moving or not.
const WHOLE: Duration = Duration::from_hours(24);
/// Bytes of a chunk, where the registry does not ask for more, and the most that it may ask for.
const CHUNK: u64 = 16 << 20;
const MAX_CHUNK: u64 = 1 << 30;
/// Bytes that are read at a time.
const READ: usize = 256 * 1024;

/// A session of an upload: where its next request goes.
struct Session {
    location: Url,
    /// The registry asks for chunks of at least so many bytes.
    chunk: Option<u64>,
}

/// Why one attempt did not do.
enum Failed {
    /// It may pass, or another way may do.
    Again(Error),
    /// It was too large in one piece.
    Smaller(Error),
    Final(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let passes = error.is_temporary()
            || matches!(&error, Error::Registry { status: 401, .. })
            || matches!(
                &error,
                Error::Transport {
                    cause: Cause::Timeout,
                    ..
                }
            );
        match error {
            Error::Registry { status: 413, .. } | Error::Document { status: 413, .. } => {
                Self::Smaller(error)
            }
            _ if passes => Self::Again(error),
            _ => Self::Final(error),
        }
    }
}

impl Repository {
    /// Asks for a blob of another repository of the same registry; false where it must be uploaded (specification:
    /// end-11). A refusal is an error, though an upload may be allowed all the same.
    pub async fn mount_blob(&self, digest: &Digest, from_repository: &str) -> Result<bool> {
        let mut scopes = self.scopes().to_vec();
        scopes.push(format!("repository:{from_repository}:pull"));
        let endpoint = self.endpoints(Need::Push)?[0];
        let path = path::mount(&self.name.path, digest, from_repository);
        let (call, answer) = endpoint
            .send(
                &self.shared,
                self.asker(&scopes),
                Method::POST,
                &path,
                |_| (),
            )
            .await?;
        match answer.status() {
            StatusCode::CREATED => Ok(true),
            StatusCode::ACCEPTED => Ok(false),
            _ => Err(self.refusal(&call, answer, None).await),
        }
    }

    /// Uploads a blob (specification: Pushing blobs). `open` opens its file, again after a failure; `progress` is told how
    /// many bytes of it were sent: after a failure, from the beginning again.
    pub async fn upload_blob(
        &self,
        digest: &Digest,
        size: u64,
        open: impl Fn() -> io::Result<File>,
        progress: impl Fn(u64),
    ) -> Result<()> {
        let endpoint = self.endpoints(Need::Push)?[0];
        let mut chunk = None;
        let mut attempt = 0;
        loop {
            let file = open().map_err(|error| file_error(digest, &error))?;
            let upload = Upload {
                repository: self,
                endpoint,
                digest,
                size,
                progress: &progress,
            };
            match upload.attempt(file, chunk).await {
                Ok(()) => return Ok(()),
                Err(Failed::Smaller(_)) if chunk.is_none() => chunk = Some(CHUNK),
                Err(Failed::Again(_)) if attempt + 1 < ATTEMPTS => {
                    sleep(pause(attempt)).await;
                    attempt += 1;
                }
                Err(Failed::Again(error) | Failed::Smaller(error) | Failed::Final(error)) => {
                    return Err(self.explain(error, None));
                }
            }
        }
    }
}

fn file_error(digest: &Digest, error: &io::Error) -> Error {
    Error::File {
        digest: digest.clone(),
        why: error.to_string(),
    }
}

struct Upload<'a, P> {
    repository: &'a Repository,
    endpoint: &'a Endpoint,
    digest: &'a Digest,
    size: u64,
    progress: &'a P,
}

impl<P: Fn(u64)> Upload<'_, P> {
    async fn attempt(&self, mut file: File, chunk: Option<u64>) -> Result<(), Failed> {
        let wrong = |error: &io::Error| file_error(self.digest, error);
        let length = file.metadata().map_err(|error| wrong(&error))?.len();
        if length != self.size {
            let why = format!("its file has {length} bytes, not {}", self.size);
            return Err(wrong(&io::Error::other(why)).into());
        }
        // Tried again already, as far as that helps.
        let session = self.begin().await.map_err(Failed::Final)?;
        let Some(chunk) = session.chunk.or(chunk) else {
            return self.finish(session, file, self.size).await;
        };
        let mut location = session.location;
        let mut sent = 0;
        while sent < self.size {
            file.seek(SeekFrom::Start(sent))
                .map_err(|error| wrong(&error))?;
            let count = chunk.min(self.size - sent);
            let part = file.try_clone().map_err(|error| wrong(&error))?;
            let has = self.patch(&mut location, part, sent, count).await?;
            if has <= sent || has > sent + count {
                return Err(Failed::Final(Error::Protocol {
                    host: location.authority.clone(),
                    why: format!("it has {has} bytes of the {} that were sent", sent + count),
                }));
            }
            sent = has;
            (self.progress)(sent);
        }
        let session = Session {
            location,
            chunk: None,
        };
        self.finish(session, file, 0).await
    }

    /// Begins a session (specification: end-4a).
    async fn begin(&self) -> Result<Session> {
        let path = path::uploads(&self.repository.name.path);
        let (call, answer) = self
            .repository
            .ask(self.endpoint, Method::POST, &path, |_| ())
            .await?;
        if answer.status() != StatusCode::ACCEPTED {
            return Err(self.repository.refusal(&call, answer, None).await);
        }
        let chunk = answer
            .headers()
            .get("oci-chunk-min-length")
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
            .map(|least| least.clamp(CHUNK, MAX_CHUNK));
        Ok(Session {
            location: next(&call.url, answer.headers())?,
            chunk,
        })
    }

    /// Sends a chunk (specification: end-5). Returns how many bytes the registry has.
    async fn patch(
        &self,
        location: &mut Url,
        file: File,
        first: u64,
        count: u64,
    ) -> Result<u64, Failed> {
        let mut call = Call::new(Method::PATCH, location.clone());
        let value = HeaderValue::from_str(&format!("{first}-{}", first + count - 1));
        call.headers
            .insert(header::CONTENT_RANGE, value.expect("digits are visible"));
        let (call, answer) = self.send(call, file, first, count).await?;
        if !matches!(answer.status().as_u16(), 202 | 204) {
            return Err(self.repository.refusal(&call, answer, None).await.into());
        }
        *location = next(&call.url, answer.headers())?;
        let has = answer.headers().get(header::RANGE);
        let has = has.and_then(|value| range::uploaded(value.to_str().ok()?));
        Ok(has.unwrap_or(first + count))
    }

    /// Ends a session with what was not sent yet (specification: end-6).
    async fn finish(&self, session: Session, file: File, count: u64) -> Result<(), Failed> {
        let mut url = session.location;
        url.path = path::with_parameter(&url.path, "digest", self.digest.as_str());
        let call = Call::new(Method::PUT, url);
        let (call, answer) = self.send(call, file, 0, count).await?;
        if matches!(answer.status().as_u16(), 200..=204) {
            (self.progress)(self.size);
            return Ok(());
        }
        Err(self.repository.refusal(&call, answer, None).await.into())
    }

    /// Sends `count` bytes of the file from where it stands, and says how far it is.
    async fn send(
        &self,
        mut call: Call,
        file: File,
        first: u64,
        count: u64,
    ) -> Result<(Call, Response<Incoming>), Failed> {
        call.limit = WHOLE;
        call.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        let failed = call.failed(Cause::Timeout);
        let (sender, mut receiver) = watch::channel(0);
        let body: Body = FileBody {
            file,
            left: count,
            sent: sender,
        }
        .boxed_unsync();
        let asker = self.repository.asker(self.repository.scopes());
        let sending = self
            .endpoint
            .put(&self.repository.shared, asker, call, body);
        tokio::pin!(sending);
        loop {
            tokio::select! {
                answer = &mut sending => return Ok(answer?),
                changed = timeout(STALL, receiver.changed()) => match changed {
                    Ok(Ok(())) => (self.progress)(first + *receiver.borrow_and_update()),
                    // All is sent: now the registry checks it.
                    Ok(Err(_)) => break,
                    Err(_) => return Err(Failed::Again(failed)),
                },
            }
        }
        match timeout(COMMIT, sending).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Failed::Again(failed)),
        }
    }
}

/// Where the next request of a session goes: relative or absolute, never from HTTPS to HTTP. Proxies that end TLS are
/// often forgotten in the registry's settings: the same host with the wrong scheme is meant to be the right one.
fn next(from: &Url, headers: &HeaderMap) -> Result<Url> {
    let location = headers
        .get(header::LOCATION)
        .ok_or_else(|| Error::Protocol {
            host: from.authority.clone(),
            why: "an upload without Location".to_owned(),
        })?;
    if from.secure
        && let Ok(text) = location.to_str()
        && let Some(mut url) = from.join(text)
        && !url.secure
        && url.authority == from.authority
    {
        url.secure = true;
        return Ok(url);
    }
    redirected(from, location)
}

/// Part of a file as a request's body. It is read where hyper asks for it: short reads, nearly always of cached pages.
struct FileBody {
    file: File,
    left: u64,
    sent: watch::Sender<u64>,
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(READ);
        let mut bytes = BytesMut::zeroed(count);
        match self.file.read(&mut bytes) {
            Ok(0) => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            Ok(count) => {
                bytes.truncate(count);
                self.left -= count as u64;
                self.sent.send_modify(|sent| *sent += count as u64);
                Poll::Ready(Some(Ok(Frame::data(bytes.freeze()))))
            }
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
