//! Operations on images: each asks the image crate and says what happened.

mod import;
mod inspect;
mod list;
mod load;
mod remove;
mod tag;

pub use import::{Import, import};
pub use inspect::inspect;
pub use list::{ImageView, list};
pub use load::load;
pub use remove::{Remove, remove};
pub use tag::tag;
