//! What a handler leaves of a request's body.
//!
//! It is read behind the answer, as Go's server does: a client that sends head and body apart, as docker's does, would
//! otherwise find the connection closed under its body, and tell of that instead of the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::stream::Serving;

/// How much of a body is read that nobody wants, and for how long; Go's server has the same bound of bytes.
const LIMIT: usize = 256 << 10;
const PATIENCE: Duration = Duration::from_secs(5);

/// A request's body; the rest is read when it is dropped.
#[derive(Debug)]
pub struct RequestBody(Option<(Incoming, Arc<Serving>)>);

impl RequestBody {
    /// The body as it comes.
    pub fn new(body: Incoming, serving: Arc<Serving>) -> Self {
        Self(Some((body, serving)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some((body, _)) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        let body = self.0.as_ref().map(|(body, _)| body);
        body.is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.0.as_ref().map(|(body, _)| body);
        body.map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some((body, serving)) = self.0.take().filter(|(body, _)| !body.is_end_stream())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                // Nobody waits for its end.
                drop(tokio::time::timeout(PATIENCE, read(body)).await);
                drop(serving);
            });
        }
    }
}

/// Reads to the end, or as far as is fair.
async fn read(mut body: Incoming) {
    let mut left = LIMIT;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        left = match left.checked_sub(length) {
            Some(left) => left,
            None => return,
        };
    }
}
