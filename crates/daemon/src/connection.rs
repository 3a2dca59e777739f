//! One connection from accept to its end: requests by hyper, until one takes the connection over or the client has gone.
//!
//! Each request runs in a task of its own: a client that goes away does not stop an operation half way, and a panic is an
//! answer (500) rather than a lost connection. What may last for ever (wait, logs, events) is a streamed body, whose producer
//! is told when the connection has been dropped.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;

use crate::answer::Answer;
use crate::body::Body;
use crate::hijack::{Hijack, Wire};
use crate::leftover::RequestBody;
use crate::routes::Daemon;
use crate::stream::{Connection, Shared, Socket};
use crate::{error, router};

/// How long the head of a request may take, once begun.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// Why hyper has to stop.
enum Ended {
    /// The connection is done with.
    Closed,
    /// A request takes it over.
    Hijacked(Hijack),
}

/// Serves a connection until its end.
pub async fn serve(daemon: Arc<Daemon>, socket: Socket) {
    let connection = Arc::new(Connection::new(socket));
    let (take, mut taken) = mpsc::channel::<Hijack>(1);
    let service = {
        let connection = connection.clone();
        service_fn(move |request| {
            Box::pin(answer(
                daemon.clone(),
                connection.clone(),
                take.clone(),
                request,
            ))
        })
    };
    let mut http = http1::Builder::new()
        .half_close(true)
        .title_case_headers(true)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(Shared(connection.clone())), service);
    let ended = {
        let mut gone = pin!(connection.hung_up());
        let mut slow = pin!(connection.slow_head(|| tokio::time::sleep(HEAD_LIMIT)));
        tokio::select! {
            biased;
            Some(hijack) = taken.recv() => Ended::Hijacked(hijack),
            _ = std::future::poll_fn(|cx| http.poll_without_shutdown(cx)) => Ended::Closed,
            () = &mut gone => Ended::Closed,
            () = &mut slow => Ended::Closed,
        }
    };
    if let Ended::Hijacked(hijack) = ended {
        let early = http.into_parts().read_buf;
        if connection.write_all(hijack.head.as_bytes()).await.is_ok() {
            (hijack.then)(Wire { connection, early }).await;
        }
    }
}

/// One request: never fails, and never returns if the connection is taken over.
async fn answer(
    daemon: Arc<Daemon>,
    connection: Arc<Connection>,
    take: mpsc::Sender<Hijack>,
    request: http::Request<Incoming>,
) -> Result<http::Response<Body>, Infallible> {
    let serving = connection.serve();
    let head = request.method() == http::Method::HEAD;
    // An archive that is loaded comes while its progress is told: the answer has begun long before the body ends.
    let request = request.map(|body| RequestBody::new(body, Arc::clone(&serving)));
    let answer = match tokio::spawn(router::route(daemon, request)).await {
        Ok(answer) => answer,
        Err(failure) => {
            tracing::error!("panic in a handler: {failure}");
            Answer::Response(error::response(&crate::Error::Internal(
                "internal error: a handler panicked".to_owned(),
            )))
        }
    };
    match answer {
        Answer::Response(mut response) => {
            router::common_headers(&mut response);
            if head {
                *response.body_mut() = Body::Whole(bytes::Bytes::new());
            }
            Ok(response)
        }
        Answer::Hijack(hijack) => {
            // The receiver is only gone when the connection is.
            drop(take.send(hijack).await);
            std::future::pending().await
        }
    }
}
