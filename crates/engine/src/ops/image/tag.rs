//! Give an image one more name.

use std::sync::Arc;

use oci::Reference;

use crate::{Engine, Result};

/// Tags.
pub async fn tag(engine: &Arc<Engine>, source: &str, target: Reference) -> Result<()> {
    todo!()
}
