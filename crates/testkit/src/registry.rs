//! Registries for tests: a real one, and one that misbehaves by script.
//!
//! [`Real`] is Debian's docker-registry with a directory of its own. [`Scripted`] answers each request as a closure says:
//! truncated, reset, endless, lying. Both listen on a free port of loopback and end when dropped.

mod real;
mod scripted;

pub use real::{AUTHORITY, CERTIFICATE, KEY, PASSWORD, Real, SELF_SIGNED, USER};
pub use scripted::{Answer, Request, Scripted};
