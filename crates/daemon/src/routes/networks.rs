//! The three networks that always exist.

use std::sync::Arc;

use super::Daemon;
use crate::answer::{Answer, json};
use crate::convert;
use crate::error::Result;
use crate::request::Request;

/// `GET /networks`.
pub fn list(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    json(&convert::networks::list(&daemon.engine, &request.query)?)
}

/// `GET /networks/{id}`.
pub fn inspect(daemon: &Arc<Daemon>, name: &str) -> Result<Answer> {
    json(&convert::networks::inspect(&daemon.engine, name)?)
}
