//! Search a registry for repositories.

use std::sync::Arc;

use image::remote::{Credentials, Search, SearchResult};

use crate::filters::Filters;
use crate::{Engine, Error, Result};

/// Results, unless told otherwise.
const DEFAULT_LIMIT: u8 = 25;
/// Results at most.
const MAX_LIMIT: i64 = 100;

/// Searches; `limit` is zero where none is given.
pub async fn search(
    engine: &Arc<Engine>,
    term: &str,
    limit: i64,
    filters: &Filters,
    credentials: &Credentials,
) -> Result<Vec<SearchResult>> {
    filters.allow(&["is-automated", "is-official", "stars"])?;
    let automated = filters.boolean("is-automated")?;
    let official = filters.boolean("is-official")?;
    let mut stars = 0;
    for text in filters.values("stars") {
        let number: i64 = text.parse().map_err(|_| {
            Error::Invalid(format!(
                "invalid filter 'stars={text}': strconv.Atoi: parsing {text:?}: invalid syntax"
            ))
        })?;
        stars = stars.max(number);
    }
    // Docker Hub builds nothing any more: its word for it counts no longer.
    if automated == Some(true) {
        return Ok(Vec::new());
    }
    if term.contains("://") {
        return Err(Error::Invalid(format!(
            "invalid repository name: repository name ({term}) should not have a scheme"
        )));
    }
    let limit = match limit {
        0 => DEFAULT_LIMIT,
        1..=MAX_LIMIT => u8::try_from(limit).unwrap_or(DEFAULT_LIMIT),
        _ => {
            return Err(Error::Invalid(format!(
                "limit {limit} is outside the range of [1, {MAX_LIMIT}]"
            )));
        }
    };
    let (host, term) = split(term);
    let remote = engine.remote().await?;
    let mut found = remote
        .search(Search { host, term, limit }, credentials)
        .await?;
    found.retain(|result| {
        official.is_none_or(|official| official == result.is_official)
            && (filters.values("stars").is_empty() || result.star_count >= stars)
    });
    Ok(found)
}

/// Which registry is searched, and for what.
fn split(term: &str) -> (&str, &str) {
    match term.split_once('/') {
        Some((host, rest))
            if (host.contains(['.', ':']) || host == "localhost")
                && !matches!(host, "docker.io" | "index.docker.io") =>
        {
            (host, rest)
        }
        Some(("docker.io" | "index.docker.io", rest)) => {
            (oci::reference::DEFAULT_DOMAIN, hub(rest))
        }
        _ => (oci::reference::DEFAULT_DOMAIN, hub(term)),
    }
}

/// Docker Hub's own repositories are listed without their prefix.
fn hub(term: &str) -> &str {
    term.strip_prefix("library/").unwrap_or(term)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_term_names_its_registry_as_an_image_does() {
        for (term, host, rest) in [
            ("busybox", "docker.io", "busybox"),
            ("library/busybox", "docker.io", "busybox"),
            ("someone/thing", "docker.io", "someone/thing"),
            ("docker.io/library/busybox", "docker.io", "busybox"),
            ("localhost/x", "localhost", "x"),
            ("registry.example:5000/a/b", "registry.example:5000", "a/b"),
        ] {
            assert_eq!(split(term), (host, rest), "{term}");
        }
    }
}
