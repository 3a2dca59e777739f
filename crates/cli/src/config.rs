//! The client's configuration file and its contexts.

use std::collections::BTreeMap;
use std::path::Path;

use api::auth::AuthConfig;
use serde::Deserialize;

/// What is used of `config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Config {
    pub(crate) current_context: Option<String>,
    pub(crate) detach_keys: Option<String>,
    pub(crate) ps_format: Option<String>,
    pub(crate) images_format: Option<String>,
    pub(crate) networks_format: Option<String>,
    /// `NAME=VALUE`, for everything that prunes.
    pub(crate) prune_filters: Vec<String>,
    /// Credentials by registry.
    pub(crate) auths: BTreeMap<String, AuthConfig>,
    /// The program that keeps all credentials.
    pub(crate) creds_store: String,
    /// Programs that keep those of one registry.
    pub(crate) cred_helpers: BTreeMap<String, String>,
}

impl Config {
    /// Reads the file; one that is missing or broken counts as empty.
    pub(crate) fn read(directory: &str) -> Self {
        let Ok(text) = std::fs::read(Path::new(directory).join("config.json")) else {
            return Self::default();
        };
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

/// The address in a context's metadata. The metadata's directory is named by a hash, so all are looked at.
pub(crate) fn context_host(directory: &str, name: &str) -> Option<String> {
    let contexts = std::fs::read_dir(Path::new(directory).join("contexts/meta")).ok()?;
    contexts.flatten().find_map(|context| {
        let text = std::fs::read(context.path().join("meta.json")).ok()?;
        let meta: serde_json::Value = serde_json::from_slice(&text).ok()?;
        if meta.get("Name")?.as_str()? != name {
            return None;
        }
        Some(
            meta.get("Endpoints")?
                .get("docker")?
                .get("Host")?
                .as_str()?
                .to_owned(),
        )
    })
}
