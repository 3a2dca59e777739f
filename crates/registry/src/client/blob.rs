//! Blobs: fetched as they come, taken up again where the connection broke.

use std::time::{Duration, Instant};

use ::http::header::{self, HeaderValue};
use ::http::{Method, Response, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use oci::Digest;
use oci::image::MAX_DOCUMENT;
use tokio::time::{sleep, timeout};

use super::endpoint::Endpoint;
use super::http::{Call, IDLE, broken};
use super::manifest::sha256;
use super::repository::{Need, Repository};
use super::send::pause;
use crate::error::Cause;
use crate::wire::{path, range};
use crate::{Error, Result};

/// Failures in a row, without progress worth the name between them.
const MAX_FAILURES: u32 = 5;
const PROGRESS: u64 = 1 << 20;
/// Less than so much in so long is a connection that stands still.
const WINDOW: Duration = Duration::from_mins(1);
const WINDOW_BYTES: u64 = 4096;

/// A blob's bytes as they come. Not verified: whoever writes them down hashes them.
#[derive(Debug)]
pub struct Blob {
    repository: Repository,
    digest: Digest,
    size: u64,
    position: u64,
    body: Option<Open>,
    failures: u32,
    /// Where the last failure was.
    failed_at: u64,
}

/// A connection that a blob comes from.
#[derive(Debug)]
struct Open {
    body: Incoming,
    call: Call,
    /// Bytes that come although we have them.
    skip: u64,
    window: (Instant, u64),
}

impl Repository {
    /// Begins to fetch a blob of `size` bytes, from `offset` on (specification: end-2).
    pub async fn blob(&self, digest: &Digest, size: u64, offset: u64) -> Result<Blob> {
        let mut blob = Blob {
            repository: self.clone(),
            digest: digest.clone(),
            size,
            position: offset.min(size),
            body: None,
            failures: 0,
            failed_at: offset,
        };
        if blob.position < size {
            blob.open().await?;
        }
        Ok(blob)
    }

    /// Fetches a small blob into memory, and verifies it.
    pub async fn document(&self, digest: &Digest, size: u64) -> Result<Vec<u8>> {
        const WHAT: &str = "image config";
        if size > MAX_DOCUMENT {
            return Err(Error::TooLarge {
                what: WHAT,
                host: self.name.domain.clone(),
                limit: usize::try_from(MAX_DOCUMENT).unwrap_or(usize::MAX),
            });
        }
        let mut blob = self.blob(digest, size, 0).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = blob.chunk().await? {
            bytes.extend_from_slice(&piece);
        }
        let found = sha256(&bytes);
        if found != *digest {
            return Err(Error::Digest {
                what: WHAT,
                expected: digest.clone(),
                found: found.to_string(),
            });
        }
        Ok(bytes)
    }

    /// Whether the repository has a blob, where it would be uploaded to: what other places have says nothing of that.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let endpoint = self.endpoints(Need::Push)?[0];
        Ok(self.head_blob(endpoint, digest).await?.is_some())
    }

    /// A blob's size, for manifests that do not say it; `None` where the blob is missing or its size unknown.
    pub async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        let endpoints = self.endpoints(Need::Content)?;
        let endpoint = endpoints.last().expect("there is one place at least");
        Ok(self.head_blob(endpoint, digest).await?.flatten())
    }

    async fn head_blob(&self, endpoint: &Endpoint, digest: &Digest) -> Result<Option<Option<u64>>> {
        let path = path::blob(&self.name.path, digest);
        let (call, answer) = self.ask(endpoint, Method::HEAD, &path, |_| ()).await?;
        match answer.status() {
            StatusCode::OK => Ok(Some(length(&answer))),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refusal(&call, answer, None).await),
        }
    }
}

fn length(answer: &Response<Incoming>) -> Option<u64> {
    let value = answer.headers().get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// What comes next of a blob.
#[derive(Debug)]
pub enum Next {
    /// These bytes.
    Bytes(Bytes),
    /// The connection broke: it is taken up again where it broke, after this pause.
    Pause(Duration),
    /// Nothing: all of the blob was read.
    End,
}

impl Blob {
    /// The next bytes; `None` once all of the blob was read. A broken connection is taken up again where it broke.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.next().await? {
                Next::Bytes(bytes) => return Ok(Some(bytes)),
                Next::Pause(pause) => sleep(pause).await,
                Next::End => return Ok(None),
            }
        }
    }

    /// The same for those who tell somebody of the pauses, and keep them themselves.
    pub async fn next(&mut self) -> Result<Next> {
        while self.position < self.size {
            let Some(open) = &mut self.body else {
                if let Err(error) = self.open().await {
                    return self.fail(error);
                }
                continue;
            };
            match open.next().await {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(mut bytes) => {
                    // A registry that sends more is not read further.
                    let left = self.size - self.position;
                    bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    self.position += bytes.len() as u64;
                    if self.position == self.size {
                        self.body = None;
                    }
                    return Ok(Next::Bytes(bytes));
                }
                Err(error) => {
                    self.body = None;
                    return self.fail(error);
                }
            }
        }
        Ok(Next::End)
    }

    /// How many bytes came so far, those before the offset included.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Counts a failure; gives up, or says how long to wait.
    fn fail(&mut self, error: Error) -> Result<Next> {
        let passes = matches!(
            &error,
            Error::Transport {
                cause: Cause::Timeout | Cause::Dial { .. },
                ..
            }
        ) || error.is_temporary();
        if self.position >= self.failed_at.saturating_add(PROGRESS) {
            self.failures = 0;
        }
        self.failed_at = self.position;
        self.failures += 1;
        if !passes || self.failures >= MAX_FAILURES {
            return Err(error);
        }
        tracing::debug!(digest = %self.digest, position = self.position, "blob interrupted: {error}");
        Ok(Next::Pause(pause(self.failures - 1)))
    }

    async fn open(&mut self) -> Result<()> {
        let mut failure = None;
        for endpoint in self.repository.endpoints(Need::Content)? {
            match self.open_at(endpoint).await {
                Ok(open) => {
                    self.body = Some(open);
                    return Ok(());
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.expect("there is one place at least"))
    }

    async fn open_at(&self, endpoint: &Endpoint) -> Result<Open> {
        let path = path::blob(&self.repository.name.path, &self.digest);
        let from = self.position;
        let fill = |call: &mut Call| {
            if from > 0
                && let Ok(value) = HeaderValue::from_str(&format!("bytes={from}-"))
            {
                call.headers.insert(header::RANGE, value);
            }
        };
        let (call, answer) = self
            .repository
            .ask(endpoint, Method::GET, &path, fill)
            .await?;
        let skip = match answer.status() {
            StatusCode::OK => {
                self.check_size(length(&answer))?;
                from
            }
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.headers().get(header::CONTENT_RANGE);
                match range.and_then(|value| range::content_range(value.to_str().ok()?)) {
                    Some((first, size)) if first == from => {
                        self.check_size(size)?;
                        0
                    }
                    _ => {
                        return Err(Error::Protocol {
                            host: call.url.authority.clone(),
                            why: format!(
                                "not the range of blob {} that was asked for",
                                self.digest
                            ),
                        });
                    }
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(Error::Size {
                    digest: self.digest.clone(),
                    expected: self.size,
                    found: from,
                });
            }
            _ => return Err(self.repository.refusal(&call, answer, None).await),
        };
        Ok(Open {
            body: answer.into_body(),
            call,
            skip,
            window: (Instant::now(), 0),
        })
    }

    fn check_size(&self, found: Option<u64>) -> Result<()> {
        match found {
            Some(found) if found != self.size => Err(Error::Size {
                digest: self.digest.clone(),
                expected: self.size,
                found,
            }),
            _ => Ok(()),
        }
    }
}

impl Open {
    /// The next bytes that are new; possibly none.
    async fn next(&mut self) -> Result<Bytes> {
        let failed = |cause| Err(self.call.failed(cause));
        let frame = match timeout(IDLE, self.body.frame()).await {
            Err(_) => return failed(Cause::Timeout),
            Ok(None) => return failed(Cause::Broken("unexpected EOF".to_owned())),
            Ok(Some(Err(error))) => return failed(broken(&error)),
            Ok(Some(Ok(frame))) => frame,
        };
        let mut bytes = frame.into_data().unwrap_or_default();
        let (since, sum) = &mut self.window;
        *sum += bytes.len() as u64;
        if since.elapsed() >= WINDOW {
            if *sum < WINDOW_BYTES {
                return failed(Cause::Timeout);
            }
            self.window = (Instant::now(), 0);
        }
        let skipped = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.skip -= skipped as u64;
        Ok(bytes.split_off(skipped))
    }
}
