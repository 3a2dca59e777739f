//! Named volumes: there are none in this build, and that can be told. Making one is refused by the router.

use crate::answer::{Answer, json};
use crate::error::{Error, Result};

/// `GET /volumes`.
pub fn list() -> Result<Answer> {
    json(&serde_json::json!({ "Volumes": [], "Warnings": null }))
}

/// `GET /volumes/{name}`.
pub fn inspect(name: &str) -> Result<Answer> {
    Err(Error::NotFound(format!("get {name}: no such volume")))
}
