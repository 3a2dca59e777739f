//! Further processes in a running container.

use std::sync::Arc;

use api::exec::{ExecStartRequest, IdResponse};
use api::stdcopy::Stream;
use engine::ops::container::exec as ops;
use http::StatusCode;

use super::Daemon;
use crate::answer::{Answer, empty, json, json_with};
use crate::convert;
use crate::error::Result;
use crate::hijack::{self, Hijack, Wire};
use crate::request::Request;

/// `POST /containers/{id}/exec`.
pub async fn create(daemon: &Arc<Daemon>, request: Request, id: &str) -> Result<Answer> {
    let create = convert::exec::create(request.json().await?)?;
    let id = ops::create(&daemon.engine, id, create).await?;
    json_with(StatusCode::CREATED, &IdResponse { id })
}

/// `POST /exec/{id}/start`.
pub async fn start(daemon: &Arc<Daemon>, request: Request, id: &str) -> Result<Answer> {
    let (upgrade, framed) = (request.wants_upgrade(), request.version.at_least(42));
    let body: ExecStartRequest = request.json().await?;
    let prepared = ops::prepare(&daemon.engine, id, convert::exec::start(&body)?)?;
    if body.detach {
        prepared.start(None, Vec::new()).await?;
        return Ok(empty(StatusCode::OK));
    }
    let tty = prepared.tty;
    let then: hijack::Then = Box::new(move |wire| Box::pin(run(prepared, tty, wire)));
    Ok(Answer::Hijack(Hijack {
        head: hijack::head(upgrade, framed && !tty),
        then,
    }))
}

/// Starts it on the connection; a failure is told there, as the answer's head is gone.
async fn run(prepared: ops::Prepared, tty: bool, wire: Wire) {
    let Ok(descriptor) = wire.descriptor() else {
        return;
    };
    if let Err(error) = prepared.start(Some(descriptor), wire.early.into()).await {
        let text = format!("{error}\r\n");
        let told = super::logs::frame((!tty).then_some(Stream::Stdout), b"", text.as_bytes());
        // The client may have gone in the meantime.
        drop(wire.connection.write_all(&told).await);
    }
}

/// `GET /exec/{id}/json`.
pub async fn inspect(daemon: &Arc<Daemon>, id: &str) -> Result<Answer> {
    let (exec, progress) = ops::inspect(&daemon.engine, id).await?;
    json(&convert::exec::inspect(&exec, progress))
}

/// `POST /exec/{id}/resize`.
pub async fn resize(daemon: &Arc<Daemon>, request: &Request, id: &str) -> Result<Answer> {
    let (rows, columns) = convert::size(&request.query)?;
    ops::resize(&daemon.engine, id, rows, columns).await?;
    Ok(empty(StatusCode::OK))
}
