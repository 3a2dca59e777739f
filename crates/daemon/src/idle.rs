//! Who is connected, and since when nobody is: a daemon that was started by the command line goes away when it is of no use.

use std::sync::Arc;

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

    /// Returns once nobody has been connected, and `useless` has held, for as long as `period` takes.
    pub async fn idle_for<F: Future<Output = ()>>(
        &self,
        period: impl Fn() -> F,
        useless: impl Fn() -> bool,
    ) {
        let mut count = self.0.subscribe();
        loop {
            self.nobody().await;
            count.mark_unchanged();
            tokio::select! {
                _ = count.changed() => {}
                () = period() => if useless() && *count.borrow() == 0 { return },
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

    /// As many turns of the task as a clock has ticks.
    async fn ticks(count: usize) {
        for _ in 0..count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn is_idle_only_after_a_whole_period_without_anyone() {
        let presence = Presence::default();
        let present = presence.enter();
        let mut idle = std::pin::pin!(presence.idle_for(|| ticks(60), || true));
        let mut is_idle_within = async |count| {
            tokio::select! {
                () = &mut idle => true,
                () = ticks(count) => false,
            }
        };
        assert!(!is_idle_within(90).await);
        drop(present);
        assert!(!is_idle_within(50).await);
        drop(presence.enter());
        assert!(!is_idle_within(50).await);
        assert!(is_idle_within(20).await);
    }
}
