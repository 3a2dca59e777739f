//! Operations that go on to their end although their client has gone: half an operation is nobody's wish.

/// Runs an operation apart from whoever waits for it.
pub(crate) async fn detached<T: Send + 'static>(
    operation: impl Future<Output = T> + Send + 'static,
) -> T {
    match tokio::spawn(operation).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Nobody cancels these; only the end of the runtime does, and then nobody waits either.
            Err(error) => panic!("an operation was cut off: {error}"),
        },
    }
}
