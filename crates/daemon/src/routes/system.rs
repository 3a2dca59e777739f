//! The daemon itself: ping, version, info.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::Daemon;
use crate::answer::{Answer, json, with_type};
use crate::body::Body;
use crate::convert;
use crate::error::Result;
use crate::request::Request;

/// `GET|HEAD /_ping`.
pub fn ping() -> Answer {
    let mut response = with_type(
        StatusCode::OK,
        "text/plain; charset=utf-8",
        Body::Whole(Bytes::from_static(b"OK")),
    );
    let headers = response.headers_mut();
    headers.insert("Builder-Version", HeaderValue::from_static("1"));
    headers.insert("Swarm", HeaderValue::from_static("inactive"));
    headers.insert(
        "Cache-Control",
        HeaderValue::from_static("no-cache, no-store, must-revalidate"),
    );
    headers.insert("Pragma", HeaderValue::from_static("no-cache"));
    response.into()
}

/// `GET /version`.
pub fn version(daemon: &Arc<Daemon>, _: &Request) -> Result<Answer> {
    json(&convert::system::version(&engine::ops::system::version(
        &daemon.engine,
    )))
}

/// `GET /info`.
pub fn info(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    let info = engine::ops::system::info(&daemon.engine);
    json(&convert::system::info(
        &info,
        daemon.debug,
        &daemon.warnings,
        request.version,
    ))
}
