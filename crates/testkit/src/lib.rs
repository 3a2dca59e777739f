//! Contexts, fixtures and filters for tests with a real daemon.
//!
//! A [`Context`] is a daemon of its own: own roots, socket, bridge, subnet and cgroup parent, so that tests run beside one
//! another and beside the machine's own engines. At its end it asserts that nothing is left. Knows nothing of the product's
//! crates: it talks as clients do, by command line ([`Context::corten`], [`Context::docker`]) and by HTTP ([`http`]).
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests run programs, write files, read the environment and print why they failed"
)]

pub mod command;
pub mod context;
pub mod filters;
pub mod fixtures;
pub mod harness;
pub mod http;
pub mod leaks;
pub mod outside;
pub mod registry;
pub mod slots;
pub mod table;
pub mod tree;

pub use command::Output;
pub use context::{Context, Settings};
pub use outside::Outside;

/// Says why a test cannot run here and returns from it: the test command counts it as skipped.
#[macro_export]
macro_rules! skip {
    ($($why:tt)*) => {{
        println!("skipped: {}", format_args!($($why)*));
        return;
    }};
}
