//! The OCI runtime: a bundle becomes a process. Sync, one thread; a library in the monitor, a command as `corten runtime`.
//!
//! Must never know Docker, images or networks; reads nothing but the bundle, its own state directory and the kernel.
//!
//! - [`plan`]: a specification, decided. [`create()`] carries a plan out; [`exec()`] puts one more process into a container.
//! - [`cgroup`]: a container's control groups. [`init`]: the little first process of `--init`.
//! - [`command`]: the command line of the OCI runtime specification.

pub mod cgroup;
mod child;
pub mod command;
mod create;
mod error;
mod exec;
mod handshake;
pub mod init;
pub mod plan;
mod program;
mod rootfs;

pub use create::{Created, Creating, Fds, Gate, Started, Stdio, begin, create, start_at};
pub use error::{Error, Failure, Result, Stage};
pub use exec::{Executed, Target, exec};
