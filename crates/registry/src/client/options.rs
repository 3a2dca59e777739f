//! The client's settings.

use std::fmt;
use std::path::PathBuf;

/// Where keys and certificates of registries are looked for on every machine.
pub const CERTS: [&str; 2] = ["/etc/corten/certs.d", "/etc/docker/certs.d"];

/// How registries are reached. Written with `..Options::default()`, so that it can grow.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Mirrors of Docker Hub, asked before it, in order: `https://mirror.example`.
    pub hub_mirrors: Vec<String>,
    /// Hosts (with their port) and address ranges whose certificates are not checked and that may speak plain HTTP.
    /// Loopback addresses always may.
    pub insecure: Vec<String>,
    /// Folders with one folder a registry: `ca.crt`, `client.cert`, `client.key`, and containerd's `hosts.toml`.
    pub certs: Vec<PathBuf>,
    /// What we call ourselves.
    pub user_agent: String,
    /// Proxies. Whoever reads the environment fills it in.
    pub proxies: Proxies,
    /// Hosts that may be sent credentials as another registry's token server, beyond those that [`crate::client`] takes
    /// for related.
    pub realms: Vec<String>,
    /// When an insecure registry is spoken to in clear.
    pub plain: Plain,
}

/// When an insecure registry is spoken to in clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plain {
    /// Whenever TLS did not do: a daemon's way.
    #[default]
    AfterFailure,
    /// Only where somebody who speaks HTTP answered: the way of `manifest --insecure`.
    WhenAnswered,
    /// Not even at loopback addresses.
    Never,
}

/// Proxies, as `HTTP_PROXY` and its sisters say. `Debug` does not print them: they may hold a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http`.
    pub http: String,
    /// For `https`.
    pub https: String,
    /// Hosts, domains and address ranges that are reached directly, separated by commas.
    pub no_proxy: String,
}

impl Proxies {
    /// From `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, or their lower-case names: `get` looks a variable up.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Self {
        let find = |upper: &str| {
            [upper.to_owned(), upper.to_lowercase()]
                .iter()
                .find_map(|name| get(name).filter(|value| !value.is_empty()))
                .unwrap_or_default()
        };
        Self {
            http: find("HTTP_PROXY"),
            https: find("HTTPS_PROXY"),
            no_proxy: find("NO_PROXY"),
        }
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("no_proxy", &self.no_proxy)
            .finish_non_exhaustive()
    }
}
