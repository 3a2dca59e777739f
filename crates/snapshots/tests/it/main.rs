//! Layers on a real kernel; needs root. Without it, every test is passed over.
#![allow(
    clippy::unwrap_used,
    clippy::unnecessary_debug_formatting,
    clippy::needless_for_each,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "tests make files and start tar by hand"
)]

mod alone;
mod compare;
mod evil;
mod layers;
mod scene;
