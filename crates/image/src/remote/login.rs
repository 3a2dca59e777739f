//! What registries say beside images: whether credentials are taken, and what they have.

use super::{Credentials, Remote, Search, SearchResult};
use crate::Error;

impl Remote {
    /// Asks a registry (`docker.io` for Docker Hub) whether it takes these credentials. Returns the identity token that
    /// is to be kept in the password's place, where the registry gives one.
    pub async fn login(
        &self,
        host: &str,
        credentials: &Credentials,
    ) -> Result<Option<String>, Error> {
        Ok(self.client.login(host, credentials).await?)
    }

    /// Searches a registry.
    pub async fn search(
        &self,
        what: Search<'_>,
        credentials: &Credentials,
    ) -> Result<Vec<SearchResult>, Error> {
        Ok(self.client.search(what, credentials).await?)
    }
}
