//! Tokens: asked for, kept until they expire, and never sent where they do not belong.
//!
//! The protocol is that of the distribution project's token authentication: `GET realm?service=…&scope=…` with user and
//! password or with nothing, and `POST` of an OAuth2 form (RFC 6749, section 6) with an identity token.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use serde::Deserialize;

use super::http::{Call, read, refused};
use super::url::Url;
use super::{Credentials, Shared};
use crate::error::Cause;
use crate::wire::path::{encode, with_parameter};
use crate::{Error, Result};

/// What we call ourselves to token servers. Some know the word.
const CLIENT_ID: &str = "docker";
/// Bytes of a token server's answer.
const MAX_TOKEN: usize = 1 << 20;
/// How long a token counts where its server does not say (distribution: Token Authentication Specification).
const DEFAULT_LIFE: Duration = Duration::from_mins(1);
/// No token is believed for longer.
const MAX_LIFE: Duration = Duration::from_hours(1);
/// Tokens end that much earlier: the way takes time.
const MARGIN: Duration = Duration::from_secs(5);
/// Tokens that are kept.
const MAX_KEPT: usize = 1000;

/// Whom a token is of, and what for.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    realm: Url,
    service: String,
    scopes: Vec<String>,
    credentials: Credentials,
}

struct Kept {
    value: HeaderValue,
    until: Instant,
}

/// The tokens that are kept. Not locked while one is fetched: a slow token server is nobody else's business.
#[derive(Default)]
pub(super) struct Tokens {
    kept: Mutex<HashMap<Key, Kept>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

/// A token server, named by a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Realm {
    pub(super) url: Url,
    pub(super) service: String,
}

/// A token server's answer.
pub(super) struct Token {
    value: HeaderValue,
    life: Duration,
    /// To be kept in the password's place.
    pub(super) identity: Option<String>,
}

impl Token {
    pub(super) fn into_header(self) -> HeaderValue {
        self.value
    }
}

impl Realm {
    /// Checks an address that a registry named. Only one that is no worse than the registry itself is asked at all.
    pub(super) fn new(registry: &Url, local: bool, realm: &str, service: String) -> Result<Self> {
        let refuse = |why: &'static str| Error::Realm {
            host: registry.authority.clone(),
            realm: shown(realm),
            why,
        };
        let url = Url::parse(realm).ok_or_else(|| refuse("it is no http or https address"))?;
        if registry.secure && !url.secure {
            return Err(refuse("it is not encrypted, the registry is"));
        }
        if !url.secure && !local && !url.same_origin(registry) {
            return Err(refuse("it is not encrypted"));
        }
        Ok(Self { url, service })
    }

    /// Whether the server may see credentials that were given for the registry: the same host, or a neighbour under one
    /// domain. A stranger could be anybody whom a mirror or a man in the middle names (CVE-2020-15157 and its kin).
    fn is_related(&self, registry: &Url, trusted: &[String]) -> bool {
        let (host, registry_host) = (self.url.host(), registry.host());
        host == registry_host
            || trusted.iter().any(|known| {
                known.eq_ignore_ascii_case(host) || known.eq_ignore_ascii_case(&self.url.authority)
            })
            || (self.url.address().is_none()
                && registry.address().is_none()
                && related(host, registry_host))
    }
}

/// An address as messages have it: without query and password.
fn shown(realm: &str) -> String {
    let shown = realm.split('?').next().unwrap_or_default();
    let shown = shown.rsplit('@').next().unwrap_or_default();
    shown.chars().take(200).collect()
}

/// Whether two names end in the same domain: two labels, or three where the last two are as short as `co.uk`.
fn related(a: &str, b: &str) -> bool {
    let shared = a
        .rsplit('.')
        .zip(b.rsplit('.'))
        .take_while(|(a, b)| a == b && !a.is_empty())
        .map(|(label, _)| label)
        .collect::<Vec<_>>();
    match shared[..] {
        [] | [_] => false,
        [top, second] => !(top.len() == 2 && second.len() <= 3),
        _ => true,
    }
}

/// What is asked of a token server.
pub(super) struct Wanted<'a> {
    /// Who named the server.
    pub(super) registry: &'a Url,
    pub(super) local: bool,
    pub(super) realm: &'a Realm,
    pub(super) credentials: &'a Credentials,
    pub(super) scopes: &'a [String],
}

impl Wanted<'_> {
    fn key(&self) -> Key {
        Key {
            realm: self.realm.url.clone(),
            service: self.realm.service.clone(),
            scopes: self.scopes.to_vec(),
            credentials: self.credentials.clone(),
        }
    }
}

impl Tokens {
    /// A token for these scopes, fetched if none is kept.
    pub(super) async fn get(&self, shared: &Shared, wanted: &Wanted<'_>) -> Result<HeaderValue> {
        let key = wanted.key();
        if let Some(value) = self.find(&key) {
            return Ok(value);
        }
        let token = fetch(shared, wanted, false).await?;
        let mut kept = self.lock();
        if kept.len() < MAX_KEPT {
            let until = Instant::now() + token.life.saturating_sub(MARGIN);
            let value = token.value.clone();
            kept.insert(key, Kept { value, until });
        }
        Ok(token.value)
    }

    fn find(&self, key: &Key) -> Option<HeaderValue> {
        let now = Instant::now();
        let mut kept = self.lock();
        kept.retain(|_, token| token.until > now);
        kept.get(key).map(|token| token.value.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a token that the registry did not take.
    pub(super) fn forget(&self, wanted: &Wanted<'_>, value: &HeaderValue) {
        let mut kept = self.lock();
        let key = wanted.key();
        if kept.get(&key).is_some_and(|token| token.value == value) {
            kept.remove(&key);
        }
    }
}

/// Asks a token server. `identity`: for a token to keep, too.
pub(super) async fn fetch(shared: &Shared, wanted: &Wanted<'_>, identity: bool) -> Result<Token> {
    let realm = wanted.realm;
    let credentials = wanted.credentials;
    if *credentials != Credentials::Anonymous
        && !realm.is_related(wanted.registry, &shared.options.realms)
    {
        return Err(Error::Realm {
            host: wanted.registry.authority.clone(),
            realm: realm.url.to_string(),
            why: "it is of another domain, and would be sent the registry's credentials",
        });
    }
    let http = shared.foreign(&realm.url, wanted.local).await?;
    let call = match credentials {
        Credentials::IdentityToken(token) => refresh(realm, wanted.scopes, token),
        _ => ask(realm, wanted.scopes, credentials, identity),
    };
    let (call, answer) = shared.send(http, wanted.local, call).await?;
    let status = answer.status();
    if status != StatusCode::OK {
        let error = refused(&call, answer).await;
        return Err(match error {
            Error::Registry { errors, .. } if status == StatusCode::UNAUTHORIZED => {
                call.failed(Cause::Token(errors))
            }
            other => other,
        });
    }
    parse(&call, &read(&call, answer, "token", MAX_TOKEN).await?)
}

fn ask(realm: &Realm, scopes: &[String], credentials: &Credentials, identity: bool) -> Call {
    let mut url = realm.url.clone();
    let mut add = |name: &str, value: &str| url.path = with_parameter(&url.path, name, value);
    if let Credentials::Basic { username, .. } = credentials {
        add("account", username);
    }
    if identity {
        add("client_id", CLIENT_ID);
        add("offline_token", "true");
    }
    if !realm.service.is_empty() {
        add("service", &realm.service);
    }
    for scope in scopes {
        add("scope", scope);
    }
    let mut call = Call::new(Method::GET, url);
    call.authorization = basic(credentials);
    call
}

fn refresh(realm: &Realm, scopes: &[String], token: &str) -> Call {
    let mut call = Call::new(Method::POST, realm.url.clone());
    call.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    let form = format!(
        "grant_type=refresh_token&service={}&client_id={CLIENT_ID}&scope={}&refresh_token={}",
        encode(&realm.service),
        encode(&scopes.join(" ")),
        encode(token)
    );
    call.body = form.into();
    call
}

/// `Authorization` for user and password (RFC 7617).
pub(super) fn basic(credentials: &Credentials) -> Option<HeaderValue> {
    let Credentials::Basic { username, password } = credentials else {
        return None;
    };
    secret(&format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{password}"))
    ))
}

/// `Authorization` for a token; `None` where it is none.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<f64>,
}

fn parse(call: &Call, body: &[u8]) -> Result<Token> {
    let wrong = |why: String| Error::Protocol {
        host: call.url.authority.clone(),
        why,
    };
    let answer: Answer =
        serde_json::from_slice(body).map_err(|error| wrong(format!("token: {error}")))?;
    let token = [answer.token, answer.access_token]
        .into_iter()
        .find(|token| !token.is_empty())
        .ok_or_else(|| {
            wrong("authorization server did not include a token in the response".to_owned())
        })?;
    let value = bearer(&token).ok_or_else(|| wrong("a token that is none".to_owned()))?;
    let life = match answer.expires_in {
        Some(seconds) if seconds >= 1.0 => Duration::try_from_secs_f64(seconds).unwrap_or(MAX_LIFE),
        _ => DEFAULT_LIFE,
    };
    Ok(Token {
        value,
        life: life.min(MAX_LIFE),
        identity: answer.refresh_token.filter(|token| !token.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_of_one_domain() {
        for (a, b, expected) in [
            ("auth.example.com", "registry.example.com", true),
            ("example.com", "registry.example.com", true),
            // Docker Hub's own two hosts.
            (
                concat!("auth.", "docker.io"),
                super::super::hosts::HUB_HOST,
                true,
            ),
            ("evil.com", "registry.example.com", false),
            ("example.com.evil.com", "registry.example.com", false),
            ("a.co.uk", "b.co.uk", false),
            ("auth.a.co.uk", "b.a.co.uk", true),
            ("auth", "registry", false),
            ("", "", false),
        ] {
            assert_eq!(related(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_realm_is_not_worse_than_its_registry() {
        let check = |registry: &str, local, realm: &str| {
            Realm::new(&Url::parse(registry).unwrap(), local, realm, String::new()).is_ok()
        };
        assert!(check("https://r.example/", false, "https://auth.example/t"));
        assert!(!check("https://r.example/", false, "http://r.example/t"));
        assert!(!check("https://r.example/", false, "file:///etc/passwd"));
        assert!(!check(
            "https://r.example/",
            false,
            "https://user@r.example/t"
        ));
        assert!(!check("http://r.example/", false, "http://other.example/t"));
        assert!(check("http://r.example/", false, "http://r.example/t"));
        assert!(check("http://127.0.0.1:1/", true, "http://127.0.0.1:2/t"));
    }
}
