//! Every operation the Engine API offers, one file each; for containers, all there is to know.
//!
//! [`Engine`] is a struct of parts, opened by [`Engine::open`]; the operations are free functions in [`ops`]. Knows specs,
//! states, events, supervision and recovery. Must never know HTTP, the API's JSON, overlay options, nftables or namespaces.
//!
//! | module | what |
//! |---|---|
//! | [`ops`] | one file an operation: the story of each |
//! | [`container`] | spec, state, record, lease, names |
//! | [`bundle`] | (spec, image configuration, host facts) to an OCI runtime specification: pure |
//! | [`task`] | a monitor's other end |
//! | [`supervise`] | the only place that leaves `Running` |
//! | [`recover`] | after a crash |
//! | [`events`], [`filters`] | what happened, and who wants to know |

mod background;
pub mod blocking;
pub mod bundle;
mod cgroups;
pub mod config;
pub mod container;
mod detached;
mod engine;
pub mod error;
pub mod events;
pub mod filters;
mod ground;
mod hello;
pub mod host;
pub mod links;
mod monitors;
mod naming;
pub mod ops;
mod pools;
mod ports;
mod publish;
pub mod recover;
mod seccomp_filters;
pub mod steps;
pub mod supervise;
pub mod task;
pub mod users;

pub use blocking::blocking;
pub use config::Config;
pub use engine::Engine;
pub use error::{Error, Result};
