//! The engine: its parts, and how they are opened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::container::Container;
use crate::container::name::Names;
use crate::events::Events;
use crate::{Config, Error, Result};

/// The engine: a struct of parts. Operations are free functions in [`crate::ops`].
#[derive(Debug)]
pub struct Engine {
    /// What it was opened with.
    pub config: Config,
    /// What happens.
    pub events: Events,
    pub(crate) containers: Containers,
}

impl Engine {
    /// Opens an engine: takes its data root's lock, finds what ran before, sweeps what was left behind.
    pub async fn open(config: Config) -> Result<Arc<Self>> {
        todo!()
    }

    /// No container in any state: an engine that started by itself may go away.
    pub fn is_empty(&self) -> bool {
        todo!()
    }

    /// Ends what runs in the background (not the containers) before the process ends.
    pub async fn close(&self) {
        todo!()
    }
}
