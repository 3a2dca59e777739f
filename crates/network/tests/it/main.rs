//! The crate against the kernel: each test in a network namespace of its own, with an outside world behind an uplink.
//!
//! Needs root; without it, every test is skipped with a line that says so (REQUIRE_ROOT=1 makes that a failure).

mod bridge;
mod traffic;
mod world;
