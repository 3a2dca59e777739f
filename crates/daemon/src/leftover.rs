//! What a handler leaves of a request's body.
//!
//! It is read behind the answer: a client that is still sending, as docker's is, would otherwise find the connection closed
//! under its body, and tell of that instead of the answer. Go's server stops after 256 KiB, so that dockerd's clients now
//! and then tell of a broken pipe; here a client has some seconds to see the answer, whatever it sends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::stream::Serving;

/// How long a body is read that nobody wants.
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
                let mut body = body;
                let read = async { while let Some(Ok(_)) = body.frame().await {} };
                // Nobody waits for its end.
                drop(tokio::time::timeout(PATIENCE, read).await);
                drop(serving);
            });
        }
    }
}
