//! The HTTP server of the Engine API, the only place where its wire meets the engine's domain, and the composition root.
//!
//! A handler is decode, one engine call, encode. Nothing here holds state, decides a lifecycle or touches a container's
//! files.
//!
//! | module | what |
//! |---|---|
//! | [`main`] | flags, configuration file, signals: the parts are opened and joined here |
//! | [`listener`], [`stream`], [`connection`] | sockets, and one connection from accept to hijack |
//! | [`router`], [`routes`] | which path is which operation, and the handlers |
//! | [`request`], [`leftover`], [`answer`], [`body`] | what handlers are given and give back |
//! | [`convert`] | wire to domain and back, with what differs by version; what is not built is refused here |
//! | [`error`] | failure to status and message |

pub mod answer;
pub mod body;
pub mod compose;
pub mod connection;
pub mod convert;
pub mod error;
pub mod hijack;
pub mod idle;
pub mod leftover;
pub mod listener;
pub mod log;
pub mod options;
pub mod pidfile;
pub mod query;
pub mod request;
pub mod router;
pub mod routes;
pub mod server;
pub mod stream;

pub use compose::{Env, main};
pub use error::{Error, Result};
