//! A client of the Docker Engine API: requests, streams and hijacked connections over a Unix socket or TCP.
//!
//! It knows `api` values and bytes, never what a container is, and never prints. HTTP is driven by hand: one
//! connection serves calls in sequence, streams take another, and nothing is set up that the call at hand does not
//! need, since a short `run` is made of three such calls.

mod body;
mod connection;
mod error;
mod head;
mod host;
mod request;

pub use body::{Body, Response};
pub use connection::{Hijacked, ReadHalf, Stream, WriteHalf};
pub use error::Error;
pub use host::Host;
pub use request::{Client, Method, Request, query};

/// What a call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests;
