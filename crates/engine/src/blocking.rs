//! The one way from async into blocking work: named, and bounded per class so that one kind of work cannot starve another.

use std::sync::LazyLock;

use tokio::sync::Semaphore;

/// What the work waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The kernel: mounts, netlink, spawning.
    Kernel,
    /// A disk: records, layers.
    Disk,
    /// A client: reading an archive as it is sent.
    Stream,
}

impl Class {
    fn slots(self) -> &'static Semaphore {
        static KERNEL: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(16));
        static DISK: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(16));
        static STREAM: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(64));
        match self {
            Self::Kernel => &KERNEL,
            Self::Disk => &DISK,
            Self::Stream => &STREAM,
        }
    }
}

/// Runs blocking work on a thread where it may block; `what` names it if it panics.
pub async fn blocking<T: Send + 'static>(
    what: &'static str,
    class: Class,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let slot = class
        .slots()
        .acquire()
        .await
        .expect("the semaphores are never closed");
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    let joined = tokio::task::spawn_blocking(work).await;
    drop(slot);
    match joined {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("{what}: {error}"),
        },
    }
}
