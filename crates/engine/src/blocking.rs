//! The one way from async into blocking work: named, and bounded per class so that one kind of work cannot starve another.

use std::sync::LazyLock;

use tokio::sync::{Semaphore, oneshot};

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
    blocking_then(what, class, || (work(), || ())).await
}

/// As [`blocking`], and goes on with what `work` leaves to do on that thread once the result is given: the thread and its
/// processor are awake already.
pub async fn blocking_then<T: Send + 'static, After: FnOnce()>(
    what: &'static str,
    class: Class,
    work: impl FnOnce() -> (T, After) + Send + 'static,
) -> T {
    let slot = class
        .slots()
        .acquire()
        .await
        .expect("the semaphores are never closed");
    let (give, result) = oneshot::channel();
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    let thread = tokio::task::spawn_blocking(move || {
        let (value, after) = work();
        // Whoever asked may have gone.
        drop(give.send(value));
        drop(slot);
        after();
    });
    if let Ok(value) = result.await {
        return value;
    }
    match thread.await.map_err(tokio::task::JoinError::try_into_panic) {
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(error)) => panic!("{what}: {error}"),
        Ok(()) => unreachable!("a thread that ends well has given its result"),
    }
}
