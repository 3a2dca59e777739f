//! Image records: load, import, pull, push, tag, list, remove.
//!
//! Knows names and what they point at; asks `content` for bytes and `snapshots` for trees. Must never know containers: it
//! is told whether an image is in use. An image's id is the SHA-256 of its configuration's bytes.

mod archive;
mod changes;
mod decompress;
mod error;
pub mod fsck;
mod gzip;
mod image;
mod images;
mod import;
mod layers;
mod load;
pub mod platform;
mod prune;
mod records;
pub mod remote;
mod remove;
mod save;

pub use changes::ImageConfigChanges;
pub use decompress::decompress;
pub use error::Error;
pub use image::{Image, InUse, Loaded, Removed};
pub use images::Images;
pub use import::Description;
pub use prune::Pruned;
pub use save::Saving;

#[cfg(test)]
mod tests;
