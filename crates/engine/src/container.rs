//! A container as the engine knows it: what was asked (`spec`), how it stands (`state`), what is stored (`record`), and who
//! may change it (`lease`).

pub mod lease;
pub mod merge;
pub mod name;
pub mod record;
pub mod registry;
pub mod signal;
pub mod spec;
pub mod state;

mod ahead;
mod live;

pub use live::{Container, Published};
pub use name::ContainerName;
pub use signal::Signal;
pub use spec::Spec;
pub use state::State;
