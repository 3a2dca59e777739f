//! The accept loop: a task for each listener, a task for each connection, and the count of those that idle exit asks for.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::connection;
use crate::idle::Presence;
use crate::listener::Listener;
use crate::routes::Daemon;

/// Accepts until the returned set is aborted. Connections go on in tasks of their own.
pub fn accept_all(
    daemon: &Arc<Daemon>,
    listeners: Vec<Arc<Listener>>,
    presence: &Presence,
) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    for listener in listeners {
        loops.spawn(accept(daemon.clone(), listener, presence.clone()));
    }
    loops
}

async fn accept(daemon: Arc<Daemon>, listener: Arc<Listener>, presence: Presence) {
    loop {
        match listener.accept().await {
            Ok(socket) => {
                let present = presence.enter();
                let daemon = daemon.clone();
                tokio::spawn(async move {
                    connection::serve(daemon, socket).await;
                    drop(present);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: some will be closed soon.
                tracing::error!("accept on {listener}: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves what is left in the queues of listeners that nobody can reach any more: an accepted connection is always served.
pub async fn drain(daemon: &Arc<Daemon>, listeners: &[Arc<Listener>], presence: &Presence) {
    for listener in listeners {
        while let Ok(Ok(socket)) =
            tokio::time::timeout(Duration::from_millis(1), listener.accept()).await
        {
            let present = presence.enter();
            let daemon = daemon.clone();
            tokio::spawn(async move {
                connection::serve(daemon, socket).await;
                drop(present);
            });
        }
    }
    presence.nobody().await;
}
