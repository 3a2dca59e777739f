//! Who is connected, and since when nobody is: a daemon that was started by the command line goes away when it is of no use.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// The number of connections.
#[derive(Clone, Debug)]
pub struct Presence(Arc<watch::Sender<usize>>);

/// One connection, for as long as this value lives.
#[derive(Debug)]
pub struct Present(Presence);

impl Default for Presence {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Presence {
    /// Counts one more.
    pub fn enter(&self) -> Present {
        self.0.send_modify(|count| *count += 1);
        Present(self.clone())
    }

    /// Returns when nobody is connected.
    pub async fn nobody(&self) {
        // An error means that the sender is gone, which `self` holds.
        drop(self.0.subscribe().wait_for(|count| *count == 0).await);
    }

    /// Returns once nobody has been connected, and `useless` has held, for that long.
    pub async fn idle_for(&self, period: Duration, useless: impl Fn() -> bool) {
        let mut count = self.0.subscribe();
        loop {
            self.nobody().await;
            count.mark_unchanged();
            tokio::select! {
                _ = count.changed() => {}
                () = tokio::time::sleep(period) => if useless() && *count.borrow() == 0 { return },
            }
        }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn is_idle_only_after_a_whole_period_without_anyone() {
        let presence = Presence::default();
        let present = presence.enter();
        let second = Duration::from_secs(1);
        let idle = presence.idle_for(Duration::from_mins(1), || true);
        tokio::pin!(idle);
        assert!(tokio::time::timeout(second * 90, &mut idle).await.is_err());
        drop(present);
        assert!(tokio::time::timeout(second * 59, &mut idle).await.is_err());
        drop(presence.enter());
        assert!(tokio::time::timeout(second * 59, &mut idle).await.is_err());
        assert!(tokio::time::timeout(second * 2, &mut idle).await.is_ok());
    }
}
