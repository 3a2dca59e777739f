//! How a pull or a push goes on, in Docker's words.

use std::time::{Duration, Instant};

use oci::Digest;
use tokio::sync::mpsc;

use crate::Error;

/// Between two reports of how much has come.
const INTERVAL: Duration = Duration::from_millis(100);

/// One report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What it is about: a layer, a tag, or nothing.
    pub id: String,
    /// Docker's word.
    pub status: String,
    /// A layer's progress; both are zero where there is nothing to count.
    pub progress: Option<(u64, u64)>,
    /// What a push ends with: tag, digest and length of the manifest.
    pub pushed: Option<(String, Digest, u64)>,
}

impl Step {
    /// A text about nothing in particular.
    pub fn text(status: impl Into<String>) -> Self {
        Self {
            status: status.into(),
            ..Self::default()
        }
    }

    /// A text about something.
    pub(super) fn about(id: &str, status: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            status: status.into(),
            ..Self::default()
        }
    }
}

/// Where reports go. Whoever drops the other end cancels the work.
#[derive(Clone, Debug)]
pub struct Progress(mpsc::UnboundedSender<Step>);

impl Progress {
    /// Reports go to the other end.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Step>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Reports.
    pub fn tell(&self, step: Step) {
        // Whoever has gone is noticed where the work waits.
        drop(self.0.send(step));
    }

    /// Returns once nobody waits for the work any more.
    pub(super) async fn cancelled(&self) -> Error {
        self.0.closed().await;
        Error::Cancelled
    }

    /// The reports about one layer.
    pub(super) fn line(&self, id: &str) -> Line {
        Line {
            progress: self.clone(),
            id: id.to_owned(),
            counted: None,
        }
    }
}

/// The reports about one layer: numbers come no more often than anybody can read them.
#[derive(Debug)]
pub(super) struct Line {
    progress: Progress,
    id: String,
    counted: Option<Instant>,
}

impl Line {
    /// A new state.
    pub(super) fn say(&mut self, status: &str) {
        self.counted = None;
        self.progress.tell(Step {
            progress: Some((0, 0)),
            ..Step::about(&self.id, status)
        });
    }

    /// How far it is.
    pub(super) fn count(&mut self, status: &str, current: u64, total: u64) {
        if self.counted.is_some_and(|then| then.elapsed() < INTERVAL) {
            return;
        }
        self.counted = Some(Instant::now());
        self.progress.tell(Step {
            progress: Some((current, total)),
            ..Step::about(&self.id, status)
        });
    }
}
