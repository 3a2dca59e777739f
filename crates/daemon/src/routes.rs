//! The handlers: decode, one engine call, encode. To add one: types in `api`, `convert`, the operation in `engine::ops`, the
//! handler here, a line in `router`, the command in `cli`, a test in `tests/e2e`.

use std::sync::Arc;

use engine::Engine;

pub mod containers;
pub mod events;
pub mod exec;
pub mod images;
pub mod logs;
pub mod networks;
pub mod plugins;
pub mod prune;
pub mod registry;
pub mod system;
pub mod volumes;

/// What handlers share.
#[derive(Debug)]
pub struct Daemon {
    /// The engine.
    pub engine: Arc<Engine>,
    /// `--debug`, for `info`.
    pub debug: bool,
    /// The open listeners warn of themselves in `info`.
    pub warnings: Vec<String>,
}
