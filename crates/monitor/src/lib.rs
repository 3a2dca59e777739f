//! One process a container: it starts the container through the runtime, owns its pty and pipes, writes its log, fans
//! out to attached clients, reaps, and records the exit status durably before it tells anyone. One thread, `poll`.
//!
//! Public to others are [`protocol`] and [`logfile`] alone. Must never know images, networks, HTTP or tokio.

#![cfg_attr(test, allow(clippy::disallowed_methods))]

mod client;
mod detach;
pub mod logfile;
pub mod protocol;
mod streams;
