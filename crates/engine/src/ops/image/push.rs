//! Push images to a registry.

use std::sync::Arc;

use image::platform;
use image::remote::{self, Credentials, Progress};
use oci::Reference;
use oci::image::Platform;

use super::inspect::find;
use crate::{Engine, Result};

/// What to push.
#[derive(Clone, Debug)]
pub struct Push {
    /// Its name; without a tag, every tag of the repository.
    pub reference: Reference,
    /// For which machine the image must be.
    pub platform: Option<Platform>,
    /// What the registry is shown.
    pub credentials: Credentials,
}

/// Pushes. Cancelled when the other end of `progress` is dropped.
pub async fn push(engine: &Arc<Engine>, what: Push, progress: Progress) -> Result<()> {
    let Push {
        reference,
        platform: wanted,
        credentials,
    } = what;
    let name = reference.familiar();
    if let Some(wanted) = wanted {
        // As in Docker's store of one platform an image: of all tags it is `latest` that is looked at, and the name is
        // told in full.
        let wholly = reference.clone().with_default_tag();
        let image = find(engine, &wholly.familiar())?;
        platform::check(&image, &wholly.to_string(), &[wanted])?;
    }
    let repository = reference.familiar_name();
    let push = remote::Push {
        reference,
        credentials,
    };
    engine.remote().await?.push(push, &progress).await?;
    engine.image_event("push", &name, &repository);
    Ok(())
}
