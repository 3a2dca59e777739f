//! What registries say without an image being moved: credentials, and what a name points at.

use std::sync::Arc;

use image::remote::{Credentials, Distribution};
use oci::Reference;

use crate::{Engine, Result};

/// Asks a registry whether it takes these credentials; returns the identity token that it may give.
pub async fn login(
    engine: &Arc<Engine>,
    host: &str,
    credentials: &Credentials,
) -> Result<Option<String>> {
    Ok(engine.remote().await?.login(host, credentials).await?)
}

/// What a name points at in its registry.
pub async fn distribution(
    engine: &Arc<Engine>,
    reference: &Reference,
    credentials: &Credentials,
) -> Result<Distribution> {
    let remote = engine.remote().await?;
    Ok(remote.distribution(reference, credentials).await?)
}
