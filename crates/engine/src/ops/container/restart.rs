//! Restart a container: stop it if it runs, start it.

use std::sync::Arc;

use super::stop::Stop;
use crate::detached::detached;
use crate::supervise;
use crate::{Engine, Error, Result};

/// Restarts a container. One that goes with its end stays for the next run.
pub async fn restart(engine: &Arc<Engine>, reference: &str, how: Stop) -> Result<()> {
    let container = engine.containers.find(reference)?;
    let (engine, reference) = (engine.clone(), reference.to_owned());
    detached(async move {
        let kept = container.keep();
        let restarted = match super::stop(&engine, &reference, how).await {
            Ok(()) | Err(Error::NotModified(_)) => super::start(&engine, &reference).await,
            Err(error) => Err(error),
        };
        drop(kept);
        // An end meanwhile, of the old run or of the new one, has left it to us.
        supervise::remove_ended(&engine, &container).await;
        restarted
    })
    .await
}
