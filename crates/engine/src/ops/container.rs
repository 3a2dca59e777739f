//! Operations on containers.

pub mod attach;
pub mod create;
pub mod exec;
pub mod inspect;
pub mod kill;
pub mod list;
pub mod logs;
pub mod pause;
pub mod prune;
pub mod remove;
pub mod rename;
pub mod resize;
pub mod restart;
pub mod start;
pub mod stop;
pub mod wait;

pub use create::create;
pub use inspect::inspect;
pub use kill::kill;
pub use list::list;
pub use logs::logs;
pub use pause::{pause, unpause};
pub use prune::prune;
pub use remove::remove;
pub use rename::rename;
pub use resize::resize;
pub use restart::restart;
pub use start::start;
pub use stop::stop;
pub use wait::wait;
