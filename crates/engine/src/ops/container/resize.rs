//! Resize a container's terminal.

use std::sync::Arc;

use monitor::protocol::{Reply, Request};

use crate::{Engine, Error, Result};

/// Resizes.
pub async fn resize(engine: &Arc<Engine>, reference: &str, rows: u16, columns: u16) -> Result<()> {
    let container = engine.containers.find(reference)?;
    let not_running = || Error::Conflict(format!("container {} is not running", container.id));
    let task = container.task().ok_or_else(not_running)?;
    match task
        .call(
            Request::Resize {
                exec: None,
                rows,
                columns,
            },
            Vec::new(),
        )
        .await?
    {
        Reply::Done => {
            let size = [
                ("height", &*rows.to_string()),
                ("width", &*columns.to_string()),
            ];
            engine.container_event(&container.now(), "resize", &size);
            Ok(())
        }
        Reply::NotRunning => Err(not_running()),
        Reply::Failed(failure) => Err(Error::Monitor {
            id: container.id.clone(),
            why: failure.message,
        }),
        other => Err(Error::Monitor {
            id: container.id.clone(),
            why: format!("it answered {other:?}"),
        }),
    }
}
