//! Durable records: atomic replacement, exclusive locks, the layout's version, quarantine.
//!
//! Knows how a record becomes durable, nothing of what records mean. The only crate that renames files into place: a
//! reader sees the old content or the new one, never a part. Everything it makes is for root alone.

mod error;
mod file;
mod layout;
mod record;

pub use error::Error;
pub use file::{
    create_dir, create_dir_all, remove_for_good, remove_tree, rename, sync_dir, write_atomic,
};
pub use layout::{LAYOUT_VERSION, Lock, check_format};
pub use record::{Loaded, Record, load, load_all, quarantine, save};

#[cfg(test)]
mod tests;
