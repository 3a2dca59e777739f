//! Trees with parents, by key: active ones for containers, committed ones for layers.
//!
//! A committed tree never changes. An active one is a directory over the trees below it; it is handed over as a detached
//! overlay mount, so that nothing is attached in the host's tree. Knows nothing of images, containers or registries.
//!
//! ```text
//! snapshots/<name>/fs             the tree's own files
//! snapshots/<name>/record.json    of a committed tree: its parent and size; appears when all of it is on the medium
//! snapshots/<name>/parent         of an active tree: a symbolic link to its parent
//! snapshots/<name>/work           of an active tree: scratch space of overlayfs
//! snapshots/ready-*               an empty tree that waits for its key
//! snapshots/removed-*             on its way out
//! ```
//!
//! The parent of an active tree is a link because making one is cheap and cannot be torn by a crash.

mod apply;
pub mod archive;
mod error;
mod key;
mod lifecycle;
mod ready;
mod usage;

pub use apply::{Alone, Applied, Difference, Limits};
pub use error::Error;
pub use lifecycle::{Damage, Flaw, Snapshots};

#[cfg(test)]
mod tests;
