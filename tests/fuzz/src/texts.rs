//! Texts: references, and headers of registries.

use oci::Reference;
use registry::wire::{Challenge, challenge, link, range};

pub(crate) const REFERENCE_WORDS: &[&str] = &[
    "/",
    ":",
    "@",
    "sha256:",
    "localhost",
    "docker.io",
    "index.docker.io",
    "library/",
    "latest",
    "..",
    "__",
    "--",
    "[::1]",
    "[",
    "]",
    "A",
    "\u{e9}",
    "\0",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];
pub(crate) const CHALLENGE_WORDS: &[&str] = &[
    "Bearer ",
    "Basic ",
    "realm=",
    "service=",
    "scope=",
    "error=",
    "\"",
    "\\",
    ",",
    " ",
    "\t",
    "=",
    "; rel=\"next\"",
    "<",
    ">",
    "bytes ",
    "0-1/2",
    "bytes=",
    "repository:a/b:pull,push",
    "https://auth.example/token",
    "\u{e9}",
];

/// A reference prints as itself, in full and as people write it, and a path of it stays in its place.
pub(crate) fn reference(input: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(input) else {
        return "not UTF-8".to_owned();
    };
    let reference: Reference = match text.parse() {
        Ok(reference) => reference,
        Err(error) => return format!("{error}"),
    };
    for printed in [reference.to_string(), reference.familiar()] {
        let again: Reference = printed
            .parse()
            .unwrap_or_else(|error| panic!("{text:?} prints as {printed:?}: {error}"));
        assert_eq!(again, reference, "{text:?} prints as {printed:?}");
    }
    let parts = reference.path.split('/');
    assert!(
        parts.clone().all(|part| !matches!(part, "" | "." | "..")),
        "{:?} leads elsewhere",
        reference.path
    );
    assert!(!reference.domain.is_empty() && !reference.domain.contains('/'));
    let tagged = reference.clone().with_default_tag();
    assert!(!tagged.is_name_only());
    format!(
        "{} parts, tag {}, digest {}",
        parts.count().min(4),
        reference.tag.is_some(),
        reference.digest.is_some()
    )
}

/// What a registry's headers say is never more than they are long.
pub(crate) fn challenge(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let found = challenge::parse(&text);
    assert!(found.len() <= text.len());
    for challenge in &found {
        if let Challenge::Bearer {
            realm,
            service,
            scope,
            error,
        } = challenge
        {
            let length = realm.len() + service.len() + scope.len() + error.len();
            assert!(length <= text.len(), "{challenge:?} of {text:?}");
        }
    }
    let next = link::next(&text);
    assert!(next.as_ref().is_none_or(|next| next.len() <= text.len()));
    let bearers = found
        .iter()
        .filter(|challenge| matches!(challenge, Challenge::Bearer { .. }))
        .count();
    format!(
        "{} challenges, {} of bearers, next {}, range {}, uploaded {}",
        "+".repeat(found.len().min(4)),
        "+".repeat(bearers.min(4)),
        next.is_some(),
        range::content_range(&text).is_some(),
        range::uploaded(&text).is_some()
    )
}
