//! What std lacks: error kinds, undo lists, ids, names, sizes, times. No container word lives here.

pub mod error;
pub mod id;
pub mod names;
pub mod progress;
pub mod size;
pub mod time;
pub mod undo;

pub use error::ErrorKind;
pub use undo::Undo;
