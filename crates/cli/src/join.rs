//! Waiting for several futures at once.

use std::pin::Pin;
use std::task::Poll;

/// A future and, once it has ended, its result.
type Slot<F> = (Pin<Box<F>>, Option<<F as Future>::Output>);

/// Runs all to their end and returns their results in order.
pub(crate) async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pending: Vec<Slot<F>> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, result) in &mut pending {
            if result.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *result = Some(output),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    pending
        .into_iter()
        .filter_map(|(_, result)| result)
        .collect()
}
