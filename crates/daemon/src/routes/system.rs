//! The daemon itself: ping, version, info, disk usage.

use std::sync::Arc;

use api::system::DiskUsage;
use bytes::Bytes;
use engine::filters::Filters;
use engine::ops::{container, image};
use http::{HeaderValue, StatusCode};

use super::Daemon;
use crate::answer::{Answer, json, with_type};
use crate::body::Body;
use crate::convert;
use crate::error::{Error, Result};
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

/// What `GET /system/df` can be asked for.
const OBJECTS: [&str; 4] = ["container", "image", "volume", "build-cache"];

/// `GET /system/df`.
pub async fn disk_usage(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    let asked: Vec<&str> = request.query.all("type").collect();
    if let Some(unknown) = asked.iter().find(|kind| !OBJECTS.contains(kind)) {
        return Err(Error::Invalid(format!("unknown object type: {unknown}")));
    }
    let wants = |kind| asked.is_empty() || asked.contains(&kind);
    let mut usage = DiskUsage::default();
    if wants("image") {
        let mut views = image::list(&daemon.engine, &Filters::default())?;
        usage.layers_size = image::measure(&daemon.engine, &mut views).cast_signed();
        let summary = |view| convert::images::summary(view, request.version);
        usage.images = Some(views.iter().map(summary).collect());
    }
    if wants("container") {
        let which = container::list::List {
            all: true,
            ..container::list::List::default()
        };
        usage.containers = Some(super::containers::sized(daemon, &which, request.version).await?);
    }
    usage.volumes = wants("volume").then(Vec::new);
    usage.build_cache = wants("build-cache").then(Vec::new);
    json(&usage)
}
