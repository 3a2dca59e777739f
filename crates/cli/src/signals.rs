//! Signals of the client, passed on to the container.

use client::{Client, Method, Request, query};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What is passed on: all that a user or a supervisor sends; not those of the client's own life (CHLD, PIPE, WINCH).
const FORWARDED: [(i32, &str); 10] = [
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (6, "ABRT"),
    (10, "USR1"),
    (12, "USR2"),
    (14, "ALRM"),
    (15, "TERM"),
    (18, "CONT"),
    (20, "TSTP"),
];

/// Signals that have arrived and not been passed on.
#[derive(Debug)]
pub(crate) struct Signals {
    arrived: mpsc::UnboundedReceiver<&'static str>,
}

impl Signals {
    /// Catches signals from now on.
    pub(crate) fn catch() -> Self {
        let (sender, arrived) = mpsc::unbounded_channel();
        // The runtime's handler would go on to the one that it replaces.
        sys::leave::no_more();
        for (number, name) in FORWARDED {
            let Ok(mut stream) = signal(SignalKind::from_raw(number)) else {
                continue;
            };
            let sender = sender.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() && sender.send(name).is_ok() {}
            });
        }
        Self { arrived }
    }

    /// Passes them on to a container, for as long as it is polled.
    pub(crate) async fn forward(&mut self, client: &Client, container: &str) {
        while let Some(name) = self.arrived.recv().await {
            let path = query(
                &format!("/containers/{container}/kill"),
                &[("signal", name)],
            );
            // A container that is not running yet or any more: nobody to tell.
            drop(client.perform(Request::new(Method::Post, path)).await);
        }
        std::future::pending::<()>().await;
    }
}

/// Passes signals on if there are any to pass, else waits for ever.
pub(crate) async fn forward(signals: Option<&mut Signals>, client: &Client, container: &str) {
    match signals {
        Some(signals) => signals.forward(client, container).await,
        None => std::future::pending().await,
    }
}
