//! Rename a container.

use std::sync::Arc;

use crate::blocking::{Class, blocking};
use crate::container::ContainerName;
use crate::detached::detached;
use crate::{Engine, Error, Result, naming};

/// Gives a container another name.
pub async fn rename(engine: &Arc<Engine>, reference: &str, name: &str) -> Result<()> {
    if reference.is_empty() || name.is_empty() {
        return Err(Error::Invalid(
            "Neither old nor new names may be empty".to_owned(),
        ));
    }
    let container = engine.containers.find(reference)?;
    let name: ContainerName = name.parse()?;
    let (engine, reference) = (engine.clone(), reference.to_owned());
    detached(async move {
        let lease = container.lease().await;
        lease.exists(&reference)?;
        let before = container.now();
        if before.name == name {
            return Err(Error::Invalid(
                "Renaming a container with the same name as its current name".to_owned(),
            ));
        }
        let reservation = engine
            .containers
            .names
            .reserve(name.clone(), &container.id)?;
        let mut stored = before.stored();
        stored.name = name;
        let (path, durable) = (container.paths.record(), !before.record.spec.auto_remove);
        blocking("record a name", Class::Disk, move || {
            store::save(&path, &stored, durable)
        })
        .await?;
        container.rename(reservation);
        let (telling, renamed) = (engine.clone(), container.clone());
        blocking("tell a container's new name", Class::Kernel, move || {
            naming::update(&telling, &renamed, None);
        })
        .await;
        let old = format!("/{}", before.name);
        engine.container_event(&container.now(), "rename", &[("oldName", &old)]);
        Ok(())
    })
    .await
}
