//! `login`: does the registry take these credentials?

use ::http::{Method, StatusCode};

use super::auth::{Wanted, basic, bearer, fetch};
use super::hosts::HUB;
use super::{Credentials, Shared};
use crate::error::Cause;
use crate::wire::path;
use crate::{Error, Result};

/// Asks the registry itself, never a mirror.
pub(super) async fn login(
    shared: &Shared,
    host: &str,
    credentials: &Credentials,
) -> Result<Option<String>> {
    let host = name(host)?;
    let registry = shared.registry(host)?;
    let endpoint = registry
        .endpoints
        .iter()
        .rfind(|endpoint| !endpoint.place.mirror)
        .ok_or_else(|| Error::Settings(format!("registry {host} has only mirrors")))?;
    let known = endpoint.known(shared).await?;
    let mut call = endpoint.call(Method::GET, known.secure, path::BASE);
    let mut identity = None;
    call.authorization = match (credentials, known.realm()) {
        (Credentials::RegistryToken(token), _) => bearer(token),
        (_, Some(realm)) => {
            let wanted = Wanted {
                registry: &call.url,
                local: known.local,
                realm,
                credentials,
                scopes: &[],
            };
            let mut token = fetch(shared, &wanted, true)
                .await
                .map_err(|error| match error {
                    // Docker names the registry, not its token server.
                    Error::Transport {
                        cause: cause @ Cause::Token(_),
                        ..
                    } => call.failed(cause),
                    other => other,
                })?;
            identity = token.identity.take();
            Some(token.into_header())
        }
        (_, None) if known.wants_basic() => basic(credentials),
        (_, None) => None,
    };
    let (call, answer) = shared.send(known.http.clone(), known.local, call).await?;
    match answer.status() {
        StatusCode::OK => Ok(identity),
        status => Err(Error::Login {
            url: call.url.to_string(),
            status,
        }),
    }
}

/// A registry's name, of what people and `config.json` call it: `https://index.docker.io/v1/`, too.
fn name(host: &str) -> Result<&str> {
    let rest = host.split_once("://").map_or(host, |(_, rest)| rest);
    let name = rest.split('/').next().unwrap_or_default();
    if name.is_empty() || name.starts_with('.') || name.contains(['@', '?', '#', '\\']) {
        return Err(Error::Settings(format!("invalid registry {host:?}")));
    }
    Ok(match name {
        "index.docker.io" | "docker.io" => HUB,
        name => name,
    })
}
