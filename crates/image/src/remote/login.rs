//! Credentials, tried.

use super::{Credentials, Remote};
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
}
