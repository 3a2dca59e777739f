//! Plugins: there are none. `docker inspect` asks for them after everything else.

use crate::answer::{Answer, json};
use crate::error::{Error, Result};

/// `GET /plugins`.
pub fn list() -> Result<Answer> {
    json(&serde_json::json!([]))
}

/// `GET /plugins/{name}/json`.
pub fn inspect(name: &str) -> Result<Answer> {
    Err(Error::NotFound(format!("plugin \"{name}\" not found")))
}
