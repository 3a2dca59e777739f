//! All containers, found by id, name or a prefix of the id.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::name::Names;
use super::{Container, Published};
use crate::{Error, Result};

/// All containers of an engine.
#[derive(Debug, Default)]
pub struct Containers {
    /// The names taken.
    pub(crate) names: Names,
    by_id: RwLock<BTreeMap<String, Arc<Container>>>,
}

impl Containers {
    /// Finds one: by its whole id, its name, or a prefix of its id that is no other's.
    pub fn find(&self, reference: &str) -> Result<Arc<Container>> {
        let missing = || Error::NoSuchContainer(reference.to_owned());
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(container) = by_id.get(reference) {
            return Ok(container.clone());
        }
        if let Some(id) = self.names.owner(reference) {
            return by_id.get(&id).cloned().ok_or_else(missing);
        }
        if reference.is_empty() {
            return Err(missing());
        }
        let mut matching = by_id
            .range(reference.to_owned()..)
            .take_while(|(id, _)| id.starts_with(reference));
        match (matching.next(), matching.next()) {
            (Some((_, container)), None) => Ok(container.clone()),
            (Some(_), Some(_)) => Err(Error::AmbiguousPrefix(reference.to_owned())),
            (None, _) => Err(missing()),
        }
    }

    /// All of them as they stand, in no order that means anything.
    pub fn all(&self) -> Vec<Arc<Published>> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        by_id.values().map(|container| container.now()).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Whether there is one with this id.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.by_id
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(id)
    }

    pub(crate) fn insert(&self, container: Arc<Container>) {
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(container.id.clone(), container);
    }

    pub(crate) fn remove(&self, id: &str) {
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }
}
