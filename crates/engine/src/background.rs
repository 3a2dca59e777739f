//! What is done behind the answers: deleting what was removed, keeping bridges, the firewall's rules and netd; it is
//! tried again. Whoever waits here holds no engine: two that take turns at it would keep it alive for ever.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::blocking::{Class, blocking};
use crate::{Engine, pools, ports};

/// Names of removed containers' directories begin so.
pub(crate) const REMOVED: &str = ".removed-";
/// How long after a removal its files go: runs that follow at once are not disturbed.
const DELAY: Duration = Duration::from_millis(100);
/// Between attempts.
const AGAIN: Duration = Duration::from_secs(1);

/// Begins all of it; it ends with the engine.
pub(crate) fn begin(engine: &Arc<Engine>) {
    engine.tidy.notify_one();
    tokio::spawn(tidy_forever(Arc::downgrade(engine)));
    tokio::spawn(look_after(Arc::downgrade(engine)));
    tokio::spawn(pools::keep_full(Arc::downgrade(engine)));
    tokio::spawn(watch_netd(Arc::downgrade(engine)));
}

/// Waits to be told of news; false: there are none, for as long as one may do without.
pub(crate) async fn told(news: &Notify, limit: Duration) -> bool {
    tokio::time::timeout(limit, news.notified()).await.is_ok()
}

async fn tidy_forever(engine: Weak<Engine>) {
    let Some(news) = engine.upgrade().map(|engine| engine.tidy.clone()) else {
        return;
    };
    while engine.strong_count() > 0 {
        if !told(&news, AGAIN).await {
            continue;
        }
        tokio::time::sleep(DELAY).await;
        let Some(strong) = engine.upgrade() else {
            return;
        };
        if !blocking("tidy up", Class::Disk, move || tidy(&strong)).await {
            tokio::time::sleep(AGAIN).await;
            news.notify_one();
        }
    }
}

/// Deletes what was removed; whether all of it went.
pub(crate) fn tidy(engine: &Engine) -> bool {
    let mut done = true;
    // A removed container may have been the last that needed the layers of an image that is gone.
    if let Err(error) = engine.images.collect() {
        tracing::warn!(%error, "unused layers could not be deleted; it will be tried again");
        done = false;
    }
    if let Err(error) = engine.snapshots.reap() {
        tracing::warn!(%error, "a removed snapshot could not be deleted; it will be tried again");
        done = false;
    }
    let Ok(entries) = std::fs::read_dir(engine.config.data_root.join("containers")) else {
        return done;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(REMOVED)
            && let Err(error) = store::remove_tree(&entry.path())
        {
            tracing::warn!(%error, "a removed container could not be deleted; it will be tried again");
            done = false;
        }
    }
    done
}

/// Bridges that somebody deleted and rules that somebody flushed come back, and what a netd held that died unseen.
async fn keep_networks(engine: &Arc<Engine>) {
    let engine = engine.clone();
    blocking("look after the networks", Class::Kernel, move || {
        match engine.networks.keep_bridges() {
            Ok(told) if told.is_empty() => {}
            Ok(told) => {
                tracing::warn!("{}", told.join("; "));
                engine.refill_pools();
            }
            Err(error) => tracing::warn!(%error, "look after the bridges"),
        }
        if let Err(error) = engine.networks.keep_rules() {
            tracing::warn!(%error, "put the firewall's rules back");
        }
        if let Err(error) = engine.ports.keep_rules() {
            tracing::warn!(%error, "put the rules of published ports back");
        }
        if engine.keeper.is_behind() {
            ports::hand_over(&engine);
        }
    })
    .await;
}

/// Looks after the networks, once a second.
async fn look_after(engine: Weak<Engine>) {
    while let Some(strong) = engine.upgrade() {
        keep_networks(&strong).await;
        drop(strong);
        tokio::time::sleep(AGAIN).await;
    }
}

/// Waits for the end of netd, and gives what it held to a new one.
async fn watch_netd(engine: Weak<Engine>) {
    let Some(news) = engine.upgrade().map(|engine| engine.netd.clone()) else {
        return;
    };
    while let Some(strong) = engine.upgrade() {
        #[expect(
            deprecated,
            reason = "its successor is unsafe to call; the watch owns its descriptor and never changes it"
        )]
        let process = strong
            .keeper
            .process()
            .and_then(|fd| AsyncFd::with_interest(fd, Interest::READABLE).ok());
        drop(strong);
        let Some(process) = process else {
            told(&news, AGAIN).await;
            continue;
        };
        let ended = loop {
            match tokio::time::timeout(AGAIN, process.readable()).await {
                Ok(ended) => break ended.is_ok(),
                Err(_) if engine.strong_count() == 0 => return,
                Err(_) => {}
            }
        };
        let Some(strong) = engine.upgrade().filter(|_| ended) else {
            return;
        };
        blocking("replace netd", Class::Kernel, move || {
            ports::hand_over(&strong);
        })
        .await;
    }
}
