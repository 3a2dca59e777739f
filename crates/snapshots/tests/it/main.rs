//! Layers on a real kernel; needs root. Without it, every test is passed over.
#![allow(
    clippy::disallowed_methods,
    reason = "tests make files and start tar by hand"
)]

mod evil;
mod layers;
mod scene;
