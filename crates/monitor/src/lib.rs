//! One process a container: it starts the container through the runtime, owns its pty and pipes, writes its log, fans
//! out to attached clients, reaps, and records the exit status durably before it tells anyone. One thread, `poll`.
//!
//! Public to others are [`protocol`] and [`logfile`] alone, and [`main`] to the binary. Must never know images, networks,
//! HTTP or tokio.
//!
//! - `launch`: from a process that waits to a created container.
//! - `container`: what is asked of the runtime, and of the container's cgroup.
//! - `watch`: the loop. `control`: requests of engines. `exit`: the end of an exec, of the container and of the monitor.
//! - `streams`, `client`, `detach`: standard streams and who is attached to them.

#![cfg_attr(test, allow(clippy::disallowed_methods))]

mod client;
mod container;
mod control;
mod detach;
mod exit;
mod launch;
pub mod logfile;
pub mod protocol;
mod streams;
mod watch;

use std::ffi::OsString;

/// The role `corten monitor`: waits for a container on the inherited socket ([`protocol::CONTROL_FD`]) and lives as long as
/// it; ends at once when the engine goes away before there is one. Takes nothing from its arguments. Gives the exit code.
pub fn main(_args: &[OsString]) -> i32 {
    sys::memory::keep_small();
    match launch::launch() {
        Ok(monitor) => monitor.run(),
        Err(launch::Refused) => 125,
    }
}
