//! The OCI runtime: a bundle becomes a process. Sync, one thread; a library in the monitor, a command as `corten runtime`.
//!
//! Must never know Docker, images or networks; reads nothing but the bundle, its own state directory and the kernel.

pub mod plan;
