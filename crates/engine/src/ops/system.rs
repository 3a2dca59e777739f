//! Operations on the engine itself.

mod events;
mod info;
pub mod prune;
mod version;

pub use events::{Selection, Stream, events};
pub(crate) use info::lacking;
pub use info::{CgroupFacts, Counts, Info, info};
pub use version::{Version, version};
