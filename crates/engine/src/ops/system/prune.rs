//! Prune what this build has none of: there is nothing to remove, and that can be told. Clients that prune everything ask
//! for all of these.

use crate::events::Kind;
use crate::filters::Filters;
use crate::{Engine, Error, Result};

/// What a build's cache can be filtered by.
const BUILD: [&str; 10] = [
    "until",
    "label",
    "label!",
    "id",
    "parent",
    "type",
    "description",
    "inuse",
    "shared",
    "private",
];

/// Volumes.
pub fn volumes(engine: &Engine, filters: &Filters) -> Result<()> {
    filters.allow(&["label", "label!", "all"])?;
    filters.boolean("all")?;
    engine.prune_event(Kind::Volume, 0);
    Ok(())
}

/// The build cache.
pub fn build_cache(engine: &Engine, filters: &Filters) -> Result<()> {
    filters
        .allow(&BUILD)
        .map_err(|error| Error::Invalid(format!("failed to prune build cache: {error}")))?;
    engine.prune_event(Kind::Builder, 0);
    Ok(())
}
