//! What both sides of the protocol say: paths, error documents, challenges, links, ranges, media types. Pure.

pub mod challenge;
pub mod errors;
pub mod link;
pub mod media;
pub mod path;
pub mod range;
mod scan;

pub use challenge::Challenge;
pub use errors::{Code, Errors};
