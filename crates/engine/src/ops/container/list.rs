//! All containers that someone wants to see, newest first. Never waits.

use std::sync::Arc;

use crate::container::Published;
use crate::filters::Filters;
use crate::{Engine, Result};

/// Which containers.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Those that do not run, too.
    pub all: bool,
    /// At most so many of the newest (running or not); 0: all.
    pub limit: usize,
    /// `id name label exited status ancestor before since network volume health …`.
    pub filters: Filters,
}

/// Lists containers.
pub fn list(engine: &Arc<Engine>, which: &List) -> Result<Vec<Arc<Published>>> {
    todo!()
}
