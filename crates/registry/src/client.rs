//! The client: fetches and pushes manifests and blobs, and knows no store.

mod blob;
mod credentials;
mod options;
mod repository;

use oci::reference::Reference;

pub use blob::Blob;
pub use credentials::Credentials;
pub use options::{Options, Proxies};
pub use repository::{Manifest, Repository, Scope};

use crate::{Error, Result};

/// Connections, tokens and settings that all repositories share. A clone is cheap and shares them too.
#[derive(Clone, Debug)]
pub struct Client {}

impl Client {
    /// A client with these settings. Reads the trusted certificates, asks nobody.
    pub fn new(options: Options) -> Result<Self> {
        _ = options;
        Ok(Self {})
    }

    /// A repository, seen with these credentials. Asks nobody yet.
    pub fn repository(
        &self,
        name: &Reference,
        credentials: Credentials,
        scope: Scope,
    ) -> Repository {
        Repository::new(self.clone(), name, credentials, scope)
    }

    /// Asks the registry at `host` (`docker.io` for Docker Hub) whether it takes these credentials. Returns the identity
    /// token that is to be kept in the password's place, where the registry gives one.
    pub async fn login(&self, host: &str, credentials: &Credentials) -> Result<Option<String>> {
        _ = (host, credentials);
        Err(Error::Unsupported)
    }
}
