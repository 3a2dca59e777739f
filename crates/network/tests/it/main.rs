//! The crate against the kernel: each test in a network namespace of its own, with an outside world behind an uplink.
//!
//! Needs root; without it, every test is skipped with a line that says so (REQUIRE_ROOT=1 makes that a failure).
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests: they run nft to look from outside, say what they skip, and fail by panicking"
)]

mod bridge;
mod interfaces;
mod localhost;
mod modes;
mod networks;
mod rules;
mod traffic;
mod world;
