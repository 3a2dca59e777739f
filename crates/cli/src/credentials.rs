//! Credentials for registries, kept as docker keeps them: by a helper program, or in `config.json`.
//!
//! Nothing here prints a secret. A helper is asked by the protocol of `docker-credential-*`.

mod file;
mod helper;

use api::auth::AuthConfig;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use registry::client::Credentials;

use crate::reference;
use crate::report::Failure;
use crate::session::Session;

/// Docker Hub, as its credentials are kept.
pub(crate) const HUB: &str = "https://index.docker.io/v1/";
/// The user name under which a helper keeps an identity token.
const TOKEN_USER: &str = "<token>";

/// What the daemon is to show the registry of an image: the field `X-Registry-Auth`.
pub(crate) fn header(session: &Session, image: &str) -> Result<String, Failure> {
    header_of(session, &reference::domain(image))
}

/// The same for a registry.
pub(crate) fn header_of(session: &Session, domain: &str) -> Result<String, Failure> {
    let auth = get(session, &server(domain))?.unwrap_or_default();
    let text = serde_json::to_vec(&auth)
        .map_err(|error| Failure::new(format!("encode credentials: {error}")))?;
    Ok(URL_SAFE.encode(text))
}

/// The same, for the commands that ask the registry themselves.
pub(crate) fn of_registry(session: &Session, domain: &str) -> Result<Credentials, Failure> {
    let auth = get(session, &server(domain))?.unwrap_or_default();
    Ok(if !auth.registrytoken.is_empty() {
        Credentials::RegistryToken(auth.registrytoken)
    } else if !auth.identitytoken.is_empty() {
        Credentials::IdentityToken(auth.identitytoken)
    } else if auth.username.is_empty() {
        Credentials::Anonymous
    } else {
        Credentials::Basic {
            username: auth.username,
            password: auth.password,
        }
    })
}

/// Under which name the credentials of a registry are kept.
pub(crate) fn server(host: &str) -> String {
    match host {
        "docker.io" | "index.docker.io" => HUB.to_owned(),
        host => host.to_owned(),
    }
}

/// The host of an address.
pub(crate) fn hostname(address: &str) -> &str {
    let rest = address
        .strip_prefix("http://")
        .or_else(|| address.strip_prefix("https://"))
        .unwrap_or(address);
    rest.split('/').next().unwrap_or_default()
}

/// The credentials of a registry, if there are some.
pub(crate) fn get(session: &Session, server: &str) -> Result<Option<AuthConfig>, Failure> {
    let config = session.config();
    let Some(helper) = helper_of(session, server) else {
        let exact = config.auths.get(server);
        let same = || {
            config
                .auths
                .iter()
                .find(|(known, _)| hostname(known) == hostname(server))
                .map(|(_, auth)| auth)
        };
        return Ok(exact.or_else(same).map(|auth| file::decode(auth, server)));
    };
    let Some((user, secret)) = helper::get(session, &helper, server)? else {
        return Ok(None);
    };
    let mut auth = AuthConfig {
        serveraddress: server.to_owned(),
        ..AuthConfig::default()
    };
    if user == TOKEN_USER {
        auth.identitytoken = secret;
    } else {
        (auth.username, auth.password) = (user, secret);
    }
    Ok(Some(auth))
}

/// Keeps credentials.
pub(crate) fn store(session: &Session, auth: &AuthConfig) -> Result<(), Failure> {
    let Some(helper) = helper_of(session, &auth.serveraddress) else {
        return file::store(session, auth);
    };
    let (user, secret) = if auth.identitytoken.is_empty() {
        (auth.username.as_str(), &auth.password)
    } else {
        (TOKEN_USER, &auth.identitytoken)
    };
    helper::store(session, &helper, &auth.serveraddress, user, secret)?;
    // That there are some is noted, as docker does.
    file::note(session, &auth.serveraddress)
}

/// Forgets credentials.
pub(crate) fn erase(session: &Session, server: &str) -> Result<(), Failure> {
    if let Some(helper) = helper_of(session, server) {
        helper::erase(session, &helper, server)?;
    }
    file::erase(session, server)
}

fn helper_of(session: &Session, server: &str) -> Option<String> {
    let config = session.config();
    let own = config.cred_helpers.get(server);
    let name = own.unwrap_or(&config.creds_store);
    Some(name.clone()).filter(|name| !name.is_empty())
}
