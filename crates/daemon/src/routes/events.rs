//! What happened and happens.

use std::sync::Arc;

use http::StatusCode;

use super::Daemon;
use crate::answer::{Answer, line, with_type};
use crate::body::Body;
use crate::convert;
use crate::error::Result;
use crate::request::Request;

/// `GET /events`.
pub fn stream(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    let selection = convert::events::request(&request.query)?;
    let mut events = engine::ops::system::events(&daemon.engine, selection)?;
    let (sender, body) = Body::stream();
    tokio::spawn(async move {
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = sender.closed() => return,
            };
            let Some(event) = event else { return };
            let text = line(&convert::events::message(&event)).unwrap_or_default();
            if sender.send(text).await.is_err() {
                return;
            }
        }
    });
    Ok(with_type(StatusCode::OK, "application/json", body).into())
}
