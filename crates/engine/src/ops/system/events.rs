//! What happened and happens.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::broadcast;

use crate::events::Event;
use crate::filters::Filters;
use crate::{Engine, Result};

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Also the past ones from here on.
    pub since: Option<SystemTime>,
    /// Until here, then the stream ends.
    pub until: Option<SystemTime>,
    /// `type event container image label …`.
    pub filters: Filters,
}

/// Past and coming events.
#[derive(Debug)]
pub struct Stream {
    past: std::vec::IntoIter<Arc<Event>>,
    coming: broadcast::Receiver<Arc<Event>>,
    selection: Selection,
}

/// Begins to listen.
pub fn events(engine: &Arc<Engine>, selection: Selection) -> Result<Stream> {
    todo!()
}

impl Stream {
    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        todo!()
    }
}
