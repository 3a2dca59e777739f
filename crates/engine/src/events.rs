//! What happened: published to whoever listens, the last few kept for those who ask later.
//!
//! The queue is bounded: a listener that is too slow misses events, it never holds up an operation.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;

/// How many past events are kept (moby's number).
const KEPT: usize = 256;
/// How far a listener may fall behind.
const QUEUE: usize = 1024;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// The build cache.
    Builder,
}

impl Kind {
    /// The wire's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Builder => "builder",
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it is about.
    pub kind: Kind,
    /// Docker's word, `start`, `die`, `exec_create: sh`.
    pub action: String,
    /// The id of the container, image or network.
    pub id: String,
    /// Name, image, labels, exit code and so on.
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub time: SystemTime,
}

/// All events of an engine.
#[derive(Debug)]
pub struct Events {
    sender: broadcast::Sender<Arc<Event>>,
    past: Mutex<VecDeque<Arc<Event>>>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            sender: broadcast::channel(QUEUE).0,
            past: Mutex::default(),
        }
    }
}

impl Events {
    /// Tells everyone.
    pub fn publish(
        &self,
        kind: Kind,
        action: impl Into<String>,
        id: &str,
        attributes: BTreeMap<String, String>,
    ) {
        let event = Arc::new(Event {
            kind,
            action: action.into(),
            id: id.to_owned(),
            attributes,
            time: SystemTime::now(),
        });
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        if past.len() == KEPT {
            past.pop_front();
        }
        past.push_back(event.clone());
        // Sent under the lock, so that a subscriber sees each event exactly once. An error means that nobody listens.
        drop(self.sender.send(event));
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// The events kept, and those to come, without a gap.
    pub fn subscribe(&self) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        (past.iter().cloned().collect(), self.sender.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_sees_past_and_future_without_a_gap_and_the_past_is_bounded() {
        let events = Events::default();
        for number in 0..KEPT + 10 {
            events.publish(Kind::Container, number.to_string(), "id", BTreeMap::new());
        }
        let (past, mut receiver) = events.subscribe();
        assert_eq!((past.len(), past[0].action.as_str()), (KEPT, "10"));
        events.publish(Kind::Image, "tag", "id", BTreeMap::new());
        assert_eq!(receiver.try_recv().unwrap().action, "tag");
    }
}
