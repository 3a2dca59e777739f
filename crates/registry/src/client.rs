//! The client: fetches and pushes manifests and blobs, and knows no store.
//!
//! Whoever is asked, these hold: credentials go to the origin they were given for and to its token server, never along
//! with a redirect; nothing goes from HTTPS to HTTP; a stranger's word does not lead to this machine's own addresses;
//! every answer is bounded in bytes and in time. See docs/design/registry-client.md.

mod auth;
mod blob;
mod connect;
mod credentials;
mod endpoint;
mod hosts;
mod http;
mod login;
mod manifest;
mod options;
mod reach;
mod referrers;
mod repository;
mod search;
mod send;
mod tls;
mod upload;
mod url;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ::http::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use oci::reference::Reference;
use rustls::RootCertStore;

pub use blob::{Blob, Next};
pub use credentials::Credentials;
pub use options::{CERTS, Options, Plain, Proxies};
pub use repository::{Manifest, Repository, Scope};
pub use search::{Search, SearchResult};

use crate::{Error, Result};
use auth::Tokens;
use connect::Connector;
use endpoint::Registry;
use http::Http;
use reach::{Insecure, Reach, Trust};
use tls::TlsSettings;
use url::Url;

/// Registries and kinds of hosts that are remembered.
const MAX_KEPT: usize = 256;

/// Connections, tokens and settings that all repositories share. A clone is cheap and shares them too.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What the clones of a client share.
#[derive(Debug)]
struct Shared {
    options: Options,
    insecure: Insecure,
    /// Read with the first connection: a daemon that starts for another command need not wait for it.
    roots: OnceLock<RootCertStore>,
    proxies: Arc<Matcher>,
    user_agent: HeaderValue,
    tokens: Tokens,
    registries: Mutex<HashMap<String, Arc<Registry>>>,
    connections: Mutex<HashMap<(TlsSettings, Reach), Http>>,
}

impl Client {
    /// A client with these settings. Asks nobody yet.
    pub fn new(options: Options) -> Result<Self> {
        let user_agent = HeaderValue::from_str(&options.user_agent).map_err(|_| {
            Error::Settings("user agent with signs that HTTP cannot say".to_owned())
        })?;
        let proxies = Matcher::builder()
            .http(options.proxies.http.clone())
            .https(options.proxies.https.clone())
            .no(options.proxies.no_proxy.clone())
            .build();
        Ok(Self {
            shared: Arc::new(Shared {
                insecure: Insecure::new(&options.insecure),
                roots: OnceLock::new(),
                proxies: Arc::new(proxies),
                user_agent,
                tokens: Tokens::default(),
                registries: Mutex::default(),
                connections: Mutex::default(),
                options,
            }),
        })
    }

    /// A repository, seen with these credentials. Asks nobody yet.
    pub fn repository(
        &self,
        name: &Reference,
        credentials: Credentials,
        scope: Scope,
    ) -> Repository {
        let registry = self.shared.registry(&name.domain);
        Repository::new(self.shared.clone(), registry, name, credentials, scope)
    }

    /// Asks the registry at `host` (`docker.io` for Docker Hub) whether it takes these credentials. Returns the identity
    /// token that is to be kept in the password's place, where the registry gives one.
    pub async fn login(&self, host: &str, credentials: &Credentials) -> Result<Option<String>> {
        login::login(&self.shared, host, credentials).await
    }

    /// Repositories whose name or description has a word.
    pub async fn search(
        &self,
        what: Search<'_>,
        credentials: &Credentials,
    ) -> Result<Vec<SearchResult>> {
        search::search(&self.shared, what, credentials).await
    }
}

impl Shared {
    /// A registry's places. Read anew each time, so that changed certificates count at once; what is known of the
    /// registry stays where nothing changed.
    fn registry(&self, domain: &str) -> Result<Arc<Registry>> {
        let places = hosts::places(domain, &self.options.hub_mirrors, &self.options.certs)?;
        let mut registries = lock(&self.registries);
        if let Some(known) = registries.get(domain)
            && known.has_places(&places)
        {
            return Ok(known.clone());
        }
        let registry = Arc::new(Registry::new(places));
        if registries.len() >= MAX_KEPT {
            registries.clear();
        }
        registries.insert(domain.to_owned(), registry.clone());
        Ok(registry)
    }

    /// Connections for these settings.
    fn connections(&self, settings: TlsSettings, reach: Reach) -> Result<Http> {
        let key = (settings, reach);
        if let Some(http) = lock(&self.connections).get(&key) {
            return Ok(http.clone());
        }
        let connector = Connector {
            tls: Arc::new(tls::config(
                self.roots.get_or_init(tls::machine_roots),
                &key.0,
            )?),
            proxies: self.proxies.clone(),
            reach: key.1.clone(),
        };
        let http = Http::new(connector, self.user_agent.clone());
        let mut connections = lock(&self.connections);
        if connections.len() >= MAX_KEPT {
            connections.clear();
        }
        Ok(connections.entry(key).or_insert(http).clone())
    }

    /// Connections to a host that a registry named. `local`: the registry is of this machine, and may name its neighbours.
    async fn foreign(&self, url: &Url, local: bool) -> Result<Http> {
        let mut settings = hosts::tls(&url.authority, &self.options.certs)?;
        let mut reach = if local { Reach::Any } else { Reach::Elsewhere };
        if let Trust::Insecure(known) = self.insecure.trust(url).await {
            settings.skip_verify = true;
            if local {
                reach = known;
            }
        }
        self.connections(settings, reach)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
