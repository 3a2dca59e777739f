//! Which path is which operation. What Docker has and this build has not is known by name, so that it can be refused by name.

use std::sync::Arc;

use api::version::{ApiVersion, MAXIMUM, MINIMUM};
use http::{HeaderValue, Method, Response};

use crate::answer::{Answer, empty};
use crate::body::Body;
use crate::error::{self, Error, Result};
use crate::leftover::RequestBody;
use crate::query::{Query, decode};
use crate::request::Request;
use crate::routes::{
    Daemon, containers, events, exec, images, logs, networks, plugins, prune, registry, system,
    volumes,
};

/// Every operation of the Engine API: method, path, name.
const SURFACE: &str = include_str!("surface.tsv");

/// Answers a request, whatever it is.
pub async fn route(daemon: Arc<Daemon>, request: http::Request<RequestBody>) -> Answer {
    tracing::debug!(method = %request.method(), uri = %request.uri(), "Calling");
    match dispatch(daemon, request).await {
        Ok(answer) => answer,
        Err(failure) => error::response(&failure).into(),
    }
}

/// Headers that each answer carries.
pub fn common_headers(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert("Api-Version", HeaderValue::from_static("1.51"));
    headers.insert("Docker-Experimental", HeaderValue::from_static("false"));
    headers.insert("Ostype", HeaderValue::from_static("linux"));
    headers.insert(
        "Server",
        HeaderValue::from_static(concat!("Corten/", env!("CARGO_PKG_VERSION"), " (linux)")),
    );
}

/// The table: one line an operation.
async fn dispatch(daemon: Arc<Daemon>, request: http::Request<RequestBody>) -> Result<Answer> {
    let (parts, body) = request.into_parts();
    let path = decode(parts.uri.path());
    let (version, path) = split_version(&path)?;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let method = parts.method.clone();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let r = Request {
        version,
        query,
        parts,
        body,
    };
    let d = &daemon;
    let (get, post, delete) = (
        method == Method::GET,
        method == Method::POST,
        method == Method::DELETE,
    );
    match segments.as_slice() {
        _ if method == Method::OPTIONS => Ok(empty(http::StatusCode::OK)),
        ["_ping"] if get || method == Method::HEAD => Ok(system::ping()),
        ["version"] if get => system::version(d, &r),
        ["info"] if get => system::info(d, &r),
        ["system", "df"] if get => system::disk_usage(d, &r).await,
        ["events"] if get => events::stream(d, &r),
        ["containers", "json"] if get => containers::list(d, &r).await,
        ["containers", "prune"] if post => prune::containers(d, &r).await,
        ["containers", "create"] if post => containers::create(d, r).await,
        ["containers", id, "json"] if get => containers::inspect(d, &r, id).await,
        ["containers", id, "start"] if post => containers::start(d, r, id).await,
        ["containers", id, "stop"] if post => containers::stop(d, &r, id).await,
        ["containers", id, "restart"] if post => containers::restart(d, &r, id).await,
        ["containers", id, "kill"] if post => containers::kill(d, &r, id).await,
        ["containers", id, "pause"] if post => containers::pause(d, id).await,
        ["containers", id, "unpause"] if post => containers::unpause(d, id).await,
        ["containers", id, "wait"] if post => containers::wait(d, &r, id),
        ["containers", id, "attach"] if post => containers::attach(d, &r, id),
        ["containers", id, "logs"] if get => logs::logs(d, &r, id).await,
        ["containers", id, "resize"] if post => containers::resize(d, &r, id).await,
        ["containers", id, "rename"] if post => containers::rename(d, &r, id).await,
        ["containers", id, "exec"] if post => exec::create(d, r, id).await,
        ["containers", id] if delete => containers::remove(d, &r, id).await,
        ["exec", id, "start"] if post => exec::start(d, r, id).await,
        ["exec", id, "json"] if get => exec::inspect(d, id).await,
        ["exec", id, "resize"] if post => exec::resize(d, &r, id).await,
        ["images", "search"] if get => registry::search(d, &r).await,
        ["images", "json"] if get => images::list(d, &r),
        ["images", "load"] if post => images::load(d, r),
        ["images", "create"] if post => images::create(d, r).await,
        ["images", name @ .., "json"] if get && !name.is_empty() => {
            images::inspect(d, &r, &name.join("/")).await
        }
        ["images", name @ .., "history"] if get && !name.is_empty() => {
            images::history(d, &r, &name.join("/")).await
        }
        ["images", name @ .., "tag"] if post && !name.is_empty() => {
            images::tag(d, &r, &name.join("/")).await
        }
        ["images", "prune"] if post => prune::images(d, &r).await,
        ["images", "get"] if get => {
            images::save(d, &r, r.query.all("names").map(str::to_owned).collect()).await
        }
        ["images", name @ .., "get"] if get && !name.is_empty() => {
            images::save(d, &r, vec![name.join("/")]).await
        }
        ["images", name @ .., "push"] if post && !name.is_empty() => {
            images::push(d, &r, &name.join("/")).await
        }
        ["distribution", name @ .., "json"] if get && !name.is_empty() => {
            registry::distribution(d, &r, &name.join("/")).await
        }
        ["images", name @ ..] if delete && !name.is_empty() => {
            images::remove(d, &r, &name.join("/")).await
        }
        ["networks"] | ["networks", ""] if get => networks::list(d, &r),
        ["networks", "create"] if post => networks::create(d, r).await,
        ["networks", "prune"] if post => prune::networks(d, &r).await,
        ["networks", name] if get => networks::inspect(d, &r, name),
        ["networks", name] if delete => networks::remove(d, name).await,
        ["networks", name, "connect"] if post => networks::connect(d, r, name).await,
        ["networks", name, "disconnect"] if post => networks::disconnect(d, r, name).await,
        ["volumes", "prune"] if post => prune::volumes(d, &r),
        ["build", "prune"] if post => prune::build_cache(d, &r),
        ["volumes"] if get => volumes::list(),
        ["volumes", name] if get && !name.is_empty() => volumes::inspect(name),
        ["plugins"] if get => plugins::list(),
        ["plugins", name @ .., "json"] if get && !name.is_empty() => {
            plugins::inspect(&name.join("/"))
        }
        ["corten", "images", "fsck"] if post => images::fsck(d, &r).await,
        ["auth"] if post => registry::login(d, r).await,
        segments => Err(not_built(&method, segments)),
    }
}

/// A known operation is refused by its name; anything else does not exist.
fn not_built(method: &Method, segments: &[&str]) -> Error {
    let known = SURFACE.lines().find_map(|line| {
        let mut fields = line.split('\t');
        let (verb, pattern, name) = (fields.next()?, fields.next()?, fields.next()?);
        (verb == method.as_str() && matches(pattern, segments))
            .then(|| format!("{name} ({verb} {pattern})"))
    });
    known.map_or(Error::PageNotFound, Error::NotImplemented)
}

/// `{name}` stands for one segment, of images and the like for any number.
fn matches(pattern: &str, segments: &[&str]) -> bool {
    let pattern: Vec<&str> = pattern.split('/').skip(1).collect();
    let Some(hole) = pattern.iter().position(|part| part.starts_with('{')) else {
        return pattern == segments;
    };
    let (before, after) = (&pattern[..hole], &pattern[hole + 1..]);
    let several = matches!(before, ["images" | "distribution" | "plugins"]);
    let middle = segments.len().checked_sub(before.len() + after.len());
    middle.is_some_and(|count| count == 1 || (several && count > 1))
        && segments.starts_with(before)
        && segments
            .iter()
            .rev()
            .zip(after.iter().rev())
            .all(|(s, p)| p.starts_with('{') || s == p)
        && segments
            .get(hole)
            .is_some_and(|segment| !segment.is_empty())
}

/// Takes `/v1.51` off a path; without it, the newest version is spoken.
fn split_version(path: &str) -> Result<(ApiVersion, &str)> {
    let versioned = path
        .strip_prefix("/v")
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let Some(rest) = versioned else {
        return Ok((MAXIMUM, path));
    };
    let (text, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let version: ApiVersion = text.parse().map_err(|_| Error::PageNotFound)?;
    if version < MINIMUM {
        return Err(Error::TooOld {
            version: text.to_owned(),
            minimum: MINIMUM,
        });
    }
    if version > MAXIMUM {
        return Err(Error::TooNew {
            version: text.to_owned(),
            maximum: MAXIMUM,
        });
    }
    Ok((version, path))
}

#[cfg(test)]
mod tests;
