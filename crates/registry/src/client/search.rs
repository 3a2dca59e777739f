//! Search, by the first version of the registry protocol: the only one that has it. Docker Hub still answers it, and so do
//! some registries of organisations.

use ::http::header::HeaderName;
use ::http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;

use super::auth::{Wanted, basic};
use super::endpoint::Endpoint;
use super::hosts::{self, HUB, Place};
use super::http::read;
use super::{Credentials, Shared};
use crate::wire::path::encode;
use crate::{Error, Result};

/// Where Docker Hub's index answers. In two parts, as in `hosts`.
const HUB_INDEX: &str = concat!("index.", "docker.io");
/// Bytes of an answer: a hundred results.
const MAX_RESULTS: usize = 4 << 20;
/// What is asked of Docker Hub's token server for it.
const SCOPE: &str = "registry:catalog:search";

/// A repository that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    /// How many like it.
    pub star_count: i64,
    /// Whether it is one of Docker's own.
    pub is_official: bool,
    /// The repository.
    pub name: String,
    /// What its owner says of it.
    pub description: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Option<Vec<SearchResult>>,
}

/// What to search for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// The registry; `docker.io` for Docker Hub.
    pub host: &'a str,
    /// What its repositories are compared with.
    pub term: &'a str,
    /// Results at most.
    pub limit: u8,
}

pub(super) async fn search(
    shared: &Shared,
    what: Search<'_>,
    credentials: &Credentials,
) -> Result<Vec<SearchResult>> {
    let hub = what.host == HUB;
    let authority = if hub { HUB_INDEX } else { what.host };
    let mut place = Place::new(hub.then_some(true), authority, "/v1".to_owned());
    place.tls = hosts::tls(authority, &shared.options.certs)?;
    let endpoint = Endpoint::new(place);
    let way = match endpoint.way(shared, "/_ping").await {
        Ok(way) => way,
        Err(failures) => return Err(unreached(&endpoint, &failures)),
    };
    let path = format!("/search?q={}&n={}", encode(what.term), what.limit);
    let mut call = endpoint.call(Method::GET, way.secure, &path);
    call.headers.insert(
        HeaderName::from_static("x-docker-token"),
        HeaderValue::from_static("true"),
    );
    call.authorization = authorization(shared, what.host, credentials).await?;
    let (call, answer) = shared.send(way.http, way.local, call).await?;
    if answer.status() != StatusCode::OK {
        return Err(Error::Search(format!(
            "Unexpected status code {}",
            answer.status().as_u16()
        )));
    }
    let body = read(&call, answer, "search results", MAX_RESULTS).await?;
    let answer: Answer = serde_json::from_slice(&body).map_err(|error| {
        Error::Search(format!("error decoding registry search results: {error}"))
    })?;
    Ok(answer.results.unwrap_or_default())
}

/// User and password are shown as they are; an identity token buys one for this.
async fn authorization(
    shared: &Shared,
    host: &str,
    credentials: &Credentials,
) -> Result<Option<HeaderValue>> {
    if !matches!(credentials, Credentials::IdentityToken(_)) {
        return Ok(basic(credentials));
    }
    let registry = shared.registry(host)?;
    let own = |endpoint: &&Endpoint| !endpoint.place.mirror;
    let Some(endpoint) = registry.endpoints.iter().rfind(own) else {
        return Ok(None);
    };
    let known = endpoint.known(shared).await?;
    let Some(realm) = known.realm() else {
        return Ok(None);
    };
    let wanted = Wanted {
        registry: &endpoint.place.url(known.secure, "/"),
        local: known.local,
        realm,
        credentials,
        scopes: &[SCOPE.to_owned()],
    };
    Ok(Some(shared.tokens.get(shared, &wanted).await?))
}

/// Why nobody was reached, in Docker's words.
fn unreached(endpoint: &Endpoint, failures: &[Error]) -> Error {
    let host = &endpoint.place.authority;
    let address = |secure| endpoint.place.url(secure, "/").to_string();
    Error::Endpoint(match failures {
        [https, http] => format!(
            "{:?}. HTTPS attempt: {https}. HTTP attempt: {http}",
            address(false)
        ),
        [https, ..] => format!(
            "{}: {https}. If this private registry supports only HTTP or HTTPS with an unknown CA certificate, please add \
             `--insecure-registry {host}` to the daemon's arguments. In the case of HTTPS, if you have access to the \
             registry's CA certificate, no need for the flag; simply place the CA certificate at \
             /etc/docker/certs.d/{host}/ca.crt",
            address(true)
        ),
        [] => address(true),
    })
}
