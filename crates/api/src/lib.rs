//! Wire types of the Docker Engine API: JSON, query and header shapes exactly as dockerd 28 writes and reads them
//! (API 1.40 to 1.51).
//!
//! Dumb on purpose: strings stay strings, nothing is validated, nothing has a default but Go's zero values. A field
//! that Go writes as `null` when nil is an `Option`; one marked `omitempty` there carries `skip_serializing_if` here.
//! Where versions differ, `daemon::convert` fills or clears the optional fields.

pub mod auth;
pub mod config;
pub mod container;
pub mod error;
pub mod events;
pub mod exec;
pub mod fold;
pub mod fsck;
pub mod host_config;
pub mod image;
pub mod network;
pub mod progress;
pub mod prune;
pub mod stdcopy;
pub mod system;
pub mod version;

/// Whether a value is Go's zero value: the test behind `omitempty`.
pub(crate) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
