//! Containers.

use std::sync::Arc;

use api::container::Summary;
use api::version::ApiVersion;
use bytes::Bytes;
use engine::ops::container as ops;
use http::StatusCode;

use super::Daemon;
use crate::answer::{Answer, empty, json, json_list, json_with, line, no_content, with_type};
use crate::body::Body;
use crate::convert;
use crate::error::{Error, Result};
use crate::hijack::{self, Hijack};
use crate::request::Request;

/// `GET /containers/json`.
pub async fn list(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    let which = convert::list::request(&request.query)?;
    if request.query.flag("size") {
        return json(&sized(daemon, &which, request.version).await?);
    }
    let containers = ops::list(&daemon.engine, &which)?;
    json_list(convert::list::summaries(
        &daemon.engine,
        &containers,
        request.version,
    ))
}

/// Entries of the list with their sizes.
pub(super) async fn sized(
    daemon: &Arc<Daemon>,
    which: &ops::list::List,
    version: ApiVersion,
) -> Result<Vec<Summary>> {
    let containers = ops::list(&daemon.engine, which)?;
    let mut sized = Vec::with_capacity(containers.len());
    for mut summary in convert::list::summaries(&daemon.engine, &containers, version) {
        (summary.size_rw, summary.size_root_fs) = size(daemon, &summary.id).await?;
        sized.push(summary);
    }
    Ok(sized)
}

/// `POST /containers/create`.
pub async fn create(daemon: &Arc<Daemon>, request: Request) -> Result<Answer> {
    let (version, name) = (request.version, request.query.text("name").to_owned());
    let gateway = daemon
        .engine
        .networks
        .default_bridge()
        .ok()
        .and_then(|bridge| bridge.info().gateway4());
    // Older versions have no such parameter.
    let platform = if version.at_least(41) {
        convert::registry::platform(&request)?
    } else {
        None
    };
    let mut create =
        convert::create::request(&name, &request.json_bytes().await?, version, gateway)?;
    create.request.platform = platform;
    let warnings = create.warnings;
    let created = ops::create(&daemon.engine, create.request).await?;
    let warnings = warnings.into_iter().chain(created.warnings).collect();
    json_with(
        StatusCode::CREATED,
        &api::container::CreateResponse {
            id: created.id,
            warnings,
        },
    )
}

/// `GET /containers/{id}/json`.
pub async fn inspect(daemon: &Arc<Daemon>, request: &Request, id: &str) -> Result<Answer> {
    let (container, published) = ops::inspect::inspect(&daemon.engine, id)?;
    let mut inspect =
        convert::inspect::container(&daemon.engine, &container, &published, request.version)?;
    if request.query.flag("size") {
        let (own, whole) = size(daemon, id).await?;
        (inspect.size_rw, inspect.size_root_fs) = (Some(own), Some(whole));
    }
    json(&inspect)
}

async fn size(daemon: &Arc<Daemon>, id: &str) -> Result<(i64, i64)> {
    let (own, whole) = ops::inspect::size(&daemon.engine, id).await?;
    Ok((own.cast_signed(), whole.cast_signed()))
}

/// `POST /containers/{id}/start`.
pub async fn start(daemon: &Arc<Daemon>, request: Request, id: &str) -> Result<Answer> {
    for name in ["checkpoint", "checkpoint-dir"] {
        if !request.query.text(name).is_empty() {
            return Err(Error::NotImplemented(format!("parameter {name}")));
        }
    }
    if !matches!(request.bytes().await?.trim_ascii(), b"" | b"{}" | b"null") {
        return Err(Error::Invalid(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24".to_owned(),
        ));
    }
    ops::start(&daemon.engine, id).await?;
    Ok(no_content())
}

/// `POST /containers/{id}/stop`.
pub async fn stop(daemon: &Arc<Daemon>, request: &Request, id: &str) -> Result<Answer> {
    ops::stop(&daemon.engine, id, convert::stop(request)?).await?;
    Ok(no_content())
}

/// `POST /containers/{id}/restart`.
pub async fn restart(daemon: &Arc<Daemon>, request: &Request, id: &str) -> Result<Answer> {
    ops::restart(&daemon.engine, id, convert::stop(request)?).await?;
    Ok(no_content())
}

/// `POST /containers/{id}/kill`.
pub async fn kill(daemon: &Arc<Daemon>, request: &Request, id: &str) -> Result<Answer> {
    let about = |why: &dyn std::fmt::Display| format!("cannot kill container: {id}: {why}");
    let signal = convert::signal(request.query.text("signal"))
        .map_err(|error| Error::Invalid(about(&error)))?;
    match ops::kill(&daemon.engine, id, signal).await {
        Err(error @ engine::Error::NoSuchContainer(_)) => Err(Error::NotFound(about(&error))),
        done => Ok(done.map(|()| no_content())?),
    }
}

/// `POST /containers/{id}/pause`.
pub async fn pause(daemon: &Arc<Daemon>, id: &str) -> Result<Answer> {
    ops::pause(&daemon.engine, id).await?;
    Ok(no_content())
}

/// `POST /containers/{id}/unpause`.
pub async fn unpause(daemon: &Arc<Daemon>, id: &str) -> Result<Answer> {
    ops::unpause(&daemon.engine, id).await?;
    Ok(no_content())
}

/// `POST /containers/{id}/resize`.
pub async fn resize(daemon: &Arc<Daemon>, request: &Request, id: &str) -> Result<Answer> {
    let (rows, columns) = convert::size(&request.query)?;
    ops::resize(&daemon.engine, id, rows, columns).await?;
    Ok(empty(StatusCode::OK))
}

/// `POST /containers/{id}/rename`.
pub async fn rename(daemon: &Arc<Daemon>, request: &Request, id: &str) -> Result<Answer> {
    let name = request.query.text("name");
    match ops::rename(&daemon.engine, id, name).await {
        Err(engine::Error::InvalidName(name)) => {
            let error = engine::Error::InvalidName(format!("/{}", name.trim_start_matches('/')));
            Err(Error::Invalid(format!(
                "Error when allocating new name: {error}"
            )))
        }
        done => Ok(done.map(|()| no_content())?),
    }
}

/// `DELETE /containers/{id}`.
pub async fn remove(daemon: &Arc<Daemon>, request: &Request, id: &str) -> Result<Answer> {
    if request.query.flag("link") {
        return Err(Error::NotImplemented("parameter link".to_owned()));
    }
    let how = ops::remove::Remove {
        force: request.query.flag("force"),
        volumes: request.query.flag("v"),
    };
    ops::remove(&daemon.engine, id, how).await?;
    Ok(no_content())
}

/// `POST /containers/{id}/wait`: the head goes out at once, as clients start the container only when they have seen it.
pub fn wait(daemon: &Arc<Daemon>, request: &Request, id: &str) -> Result<Answer> {
    let condition = convert::wait_condition(request.query.text("condition"))?;
    let waited = ops::wait(&daemon.engine, id, condition)?;
    let (sender, body) = Body::stream();
    tokio::spawn(async move {
        let waited = tokio::select! {
            waited = waited => waited,
            () = sender.closed() => return,
        };
        let text = line(&convert::waited(waited)).unwrap_or_default();
        // The client may have gone in the meantime.
        drop(sender.send(text).await);
    });
    Ok(with_type(StatusCode::OK, "application/json", body).into())
}

/// `POST /containers/{id}/attach`.
pub fn attach(daemon: &Arc<Daemon>, request: &Request, id: &str) -> Result<Answer> {
    let query = &request.query;
    let prepared = ops::attach::prepare(&daemon.engine, id, convert::attach(query)?)?;
    let (tty, live) = (prepared.tty, query.flag("stream"));
    let logs = if query.flag("logs") {
        Some(convert::logs::attached(query, live))
    } else {
        None
    };
    let head = hijack::head(
        request.wants_upgrade(),
        !tty && request.version.at_least(42),
    );
    let (engine, id) = (daemon.engine.clone(), id.to_owned());
    let then: hijack::Then = Box::new(move |wire| {
        Box::pin(async move {
            if let Some(which) = logs {
                super::logs::replay(&engine, &id, which, &wire).await;
            }
            if live && let Ok(descriptor) = wire.descriptor() {
                connect(prepared, descriptor, wire.early).await;
            }
        })
    });
    Ok(Answer::Hijack(Hijack { head, then }))
}

async fn connect(prepared: ops::attach::Prepared, descriptor: std::os::fd::OwnedFd, early: Bytes) {
    if let Err(error) = prepared.connect(descriptor, early.into()).await {
        tracing::warn!("attach: {error}");
    }
}
