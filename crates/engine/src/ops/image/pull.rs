//! Pull images from a registry.

use std::sync::Arc;

use image::remote::{self, Credentials, Progress, Step};
use oci::Reference;
use oci::image::Platform;

use crate::{Engine, Result};

/// What to pull.
#[derive(Clone, Debug)]
pub struct Pull {
    /// Its name; without tag and digest, every tag of the repository.
    pub reference: Reference,
    /// For which machine; this one when none is given.
    pub platform: Option<Platform>,
    /// What the registry is shown.
    pub credentials: Credentials,
}

/// Pulls. Cancelled when the other end of `progress` is dropped; what was verified stays.
pub async fn pull(engine: &Arc<Engine>, what: Pull, progress: Progress) -> Result<()> {
    let remote = engine.remote().await?;
    let references = if what.reference.is_name_only() {
        let mut found = Vec::new();
        for tag in remote.tags(&what.reference, &what.credentials).await? {
            found.push(
                what.reference
                    .with_tag(&tag)
                    .map_err(image::Error::Invalid)?,
            );
        }
        found
    } else {
        vec![what.reference.clone()]
    };
    let mut newer = false;
    for reference in references {
        let pulled = remote
            .pull(
                remote::Pull {
                    reference: reference.clone(),
                    platform: what.platform.clone(),
                    credentials: what.credentials.clone(),
                },
                &progress,
            )
            .await?;
        newer |= pulled.newer;
        engine.image_event("pull", &reference.familiar(), &reference.familiar_name());
    }
    let name = what.reference.familiar();
    progress.tell(Step::text(if newer {
        format!("Status: Downloaded newer image for {name}")
    } else {
        format!("Status: Image is up to date for {name}")
    }));
    Ok(())
}
