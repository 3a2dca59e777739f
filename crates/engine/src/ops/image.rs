//! Operations on images: each asks the image crate and says what happened.

mod auth;
mod fsck;
mod import;
mod inspect;
mod list;
mod load;
mod prune;
mod pull;
mod push;
mod remove;
mod save;
mod search;
mod tag;

pub use auth::{distribution, login};
pub use fsck::fsck;
pub use import::{Import, import};
pub use inspect::inspect;
pub use list::{ImageView, list, measure};
pub use load::load;
pub use prune::prune;
pub use pull::{Pull, pull};
pub use push::{Push, push};
pub use remove::{Remove, remove};
pub use save::save;
pub use search::search;
pub use tag::tag;
