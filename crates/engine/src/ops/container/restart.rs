//! Restart a container: stop it if it runs, start it.

use std::sync::Arc;

use super::stop::Stop;
use crate::{Engine, Error, Result};

/// Restarts a container.
pub async fn restart(engine: &Arc<Engine>, reference: &str, how: Stop) -> Result<()> {
    match super::stop(engine, reference, how).await {
        Ok(()) | Err(Error::NotModified(_)) => {}
        Err(error) => return Err(error),
    }
    super::start(engine, reference).await
}
