//! Operations on networks.

pub mod connect;
pub mod create;
pub mod disconnect;
pub mod inspect;
pub mod list;
pub mod names;
pub mod prune;
pub mod remove;
mod running;

pub(crate) use running::{namespace, note, record};

pub use connect::connect;
pub use create::create;
pub use disconnect::disconnect;
pub use inspect::inspect;
pub use list::list;
pub use prune::prune;
pub use remove::remove;
