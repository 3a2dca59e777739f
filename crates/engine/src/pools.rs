//! What starts take ready-made: monitors, network sandboxes, empty trees. Made anew behind the starts, when it is quiet or when
//! much is gone: what a processor makes ready while a container starts or ends beside it is paid by that container.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::Engine;
use crate::background::told;
use crate::blocking::{Class, blocking};

/// Starts after which more is made at once. Of everything there is more than that.
const MANY: usize = 4;

/// It is quiet when nothing was started for so long: most commands that end at once have ended by then.
const QUIET: Duration = Duration::from_millis(20);

/// How often it is looked whether the engine is still there.
const AGAIN: Duration = Duration::from_secs(1);

/// How much was taken.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    taken: AtomicUsize,
    news: Notify,
}

impl Engine {
    /// Makes monitors, network sandboxes and empty trees until enough of them are ready.
    pub(crate) fn refill_pools(&self) {
        self.pools.taken.store(0, Ordering::Relaxed);
        self.monitors.refill();
        self.networks.refill();
        self.snapshots.refill();
    }

    /// A start has taken one of each.
    pub(crate) fn taken_from_pools(&self) {
        if self.pools.taken.fetch_add(1, Ordering::Relaxed) + 1 >= MANY {
            self.refill_pools();
        } else {
            self.pools.news.notify_one();
        }
    }
}

/// Fills the pools, and refills them whenever it is quiet after a start; ends with the engine.
pub(crate) async fn keep_full(engine: Weak<Engine>) {
    let Some(strong) = engine.upgrade() else {
        return;
    };
    let pools = strong.pools.clone();
    refill(&strong).await;
    drop(strong);
    while engine.strong_count() > 0 {
        if !told(&pools.news, AGAIN).await {
            continue;
        }
        while told(&pools.news, QUIET).await {}
        if let Some(engine) = engine.upgrade() {
            refill(&engine).await;
        }
    }
}

async fn refill(engine: &Arc<Engine>) {
    let engine = engine.clone();
    blocking("fill the pools", Class::Kernel, move || {
        engine.refill_pools();
    })
    .await;
}
