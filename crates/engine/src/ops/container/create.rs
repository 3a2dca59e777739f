//! Create a container: find its image, take its name, prepare its tree, record it, say so.

use std::sync::Arc;

use crate::container::Spec;
use crate::{Engine, Result};

/// A create request, validated.
#[derive(Clone, Debug)]
pub struct Create {
    /// The name asked for, with or without a slash; `None` or empty: a random one.
    pub name: Option<String>,
    /// What is asked.
    pub spec: Spec,
    /// The request as it came, for `inspect`.
    pub request: serde_json::Value,
}

/// A created container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: String,
    /// What Docker would warn of.
    pub warnings: Vec<String>,
}

/// Creates a container.
pub async fn create(engine: &Arc<Engine>, request: Create) -> Result<Created> {
    todo!()
}
