//! One layer of a push: found there, mounted, or uploaded.

use std::sync::{Arc, Mutex, PoisonError};

use content::Content;
use oci::image::Descriptor;
use registry::client::Repository;

use super::step::Line;
use crate::Error;

/// Repositories of the same registry from which a layer may be mounted.
#[derive(Debug)]
pub(super) struct Sources(pub(super) Vec<String>);

/// One layer of a push.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) content: Arc<Content>,
    pub(super) repository: Repository,
    pub(super) blob: Descriptor,
    pub(super) sources: Sources,
}

/// How many repositories are asked for one layer.
const MAX_SOURCES: usize = 3;

impl Upload {
    pub(super) async fn run(
        self,
        mut line: Line,
        slots: Arc<tokio::sync::Semaphore>,
    ) -> Result<(), Error> {
        let _slot = match slots.try_acquire() {
            Ok(slot) => slot,
            Err(_) => {
                line.say("Waiting");
                slots
                    .acquire()
                    .await
                    .expect("the semaphore is never closed")
            }
        };
        let Self {
            content,
            repository,
            blob,
            sources,
        } = self;
        if repository.has_blob(&blob.digest).await? {
            line.say("Layer already exists");
            return Ok(());
        }
        for source in sources.0.iter().take(MAX_SOURCES) {
            // A registry that mounts nothing takes the layer itself.
            if matches!(repository.mount_blob(&blob.digest, source).await, Ok(true)) {
                line.say(&format!("Mounted from {source}"));
                return Ok(());
            }
        }
        let digest = blob.digest.clone();
        let open = move || content.open_blob(&digest).map_err(std::io::Error::other);
        line.count("Pushing", 0, blob.size);
        let line = Mutex::new(line);
        repository
            .upload_blob(&blob.digest, blob.size, open, |sent| {
                line.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .count("Pushing", sent, blob.size);
            })
            .await?;
        line.into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .say("Pushed");
        Ok(())
    }
}
