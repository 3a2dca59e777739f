//! Remove a container: claim it, end it if forced, forget it, say so; its tree is deleted behind the answer.

use std::sync::Arc;

use crate::background::REMOVED;
use crate::blocking::{Class, blocking};
use crate::container::lease::Lease;
use crate::detached::detached;
use crate::steps::step;
use crate::{Engine, Error, Result};

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remove {
    /// Kill it if it runs.
    pub force: bool,
    /// Remove its anonymous volumes.
    pub volumes: bool,
}

/// Removes a container.
pub async fn remove(engine: &Arc<Engine>, reference: &str, how: Remove) -> Result<()> {
    let container = engine.containers.find(reference)?;
    let (engine, reference) = (engine.clone(), reference.to_owned());
    detached(async move {
        // Only one who gives up waiting for a lease can say that somebody else removes it; waiting and finding it gone
        // is the same answer later.
        let lease = container.lease().await;
        lease.exists(&reference)?;
        let now = container.now();
        if how.force && now.state.is_running() {
            super::kill::kill_and_wait(&engine, &container, now.exits).await?;
        }
        lease.begin_remove(&reference)?;
        erase(&engine, &lease).await
    })
    .await
}

/// Forgets a container that does not run: when this returns its name and record are free.
///
/// The rename of its directory is the one step that decides: before it the container exists, after it only leftovers do,
/// which the background deletes and a restart sweeps.
pub(crate) async fn erase(engine: &Arc<Engine>, lease: &Lease) -> Result<()> {
    step("remove.leased");
    let container = lease.container().clone();
    let worker = engine.clone();
    let subject = container.clone();
    blocking("remove a container", Class::Disk, move || {
        let aside = worker.config.data_root.join("containers").join(format!("{REMOVED}{}", subject.id));
        // What was answered as removed does not come back after a power cut. One that goes with its end needs no wait for
        // the medium: were it back, the next start would remove it.
        let durable = !subject.now().record.spec.auto_remove;
        subject.root.end();
        match store::rename(&subject.paths.state_dir, &aside, durable) {
            // Somebody's hand was quicker; what is gone is removed.
            Err(error) if error.kind() == stdx::ErrorKind::NotFound => {}
            other => other?,
        }
        step("remove.marked");
        if let Err(error) = worker.snapshots.remove(&subject.id) {
            tracing::warn!(container = %subject.id, %error, "remove a container's tree; a restart tries again");
        }
        step("remove.snapshot");
        Ok::<(), Error>(())
    })
    .await?;
    engine.containers.remove(&container.id);
    let now = container.now();
    container.removed();
    engine.container_event(&now, "destroy", &[]);
    engine.tidy.notify_one();
    step("remove.directory");
    Ok(())
}
