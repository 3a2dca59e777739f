//! All images that someone wants to see, newest first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use image::Image;

use super::inspect::find;
use crate::filters::Filters;
use crate::{Engine, Error, Result};

/// Filters that are understood.
const KNOWN: [&str; 6] = ["dangling", "label", "before", "since", "reference", "until"];

/// An image and who uses it.
#[derive(Clone, Debug)]
pub struct ImageView {
    /// The image.
    pub image: Arc<Image>,
    /// How many containers were made from it.
    pub containers: usize,
    /// Length of all files of the layers that other images have too, where that was asked for.
    pub shared: Option<u64>,
}

/// Lists images.
pub fn list(engine: &Arc<Engine>, filters: &Filters) -> Result<Vec<ImageView>> {
    filters.allow(&KNOWN)?;
    let dangling = filters.boolean("dangling")?;
    let mut patterns = filters.values("reference").iter();
    if !patterns.all(|pattern| is_pattern(pattern.as_bytes())) {
        return Err(Error::Invalid("syntax error in pattern".to_owned()));
    }
    let until = filters.earliest("until")?;
    let bound = |name: &str| {
        filters
            .values(name)
            .last()
            .map(|word| find(engine, word))
            .transpose()
    };
    let (before, since) = (bound("before")?, bound("since")?);
    let mut users: HashMap<String, usize> = HashMap::new();
    for container in engine.containers.all() {
        *users.entry(container.record.image_id.clone()).or_default() += 1;
    }
    let mut images = engine.images.list();
    images.retain(|image| {
        dangling.is_none_or(|wanted| {
            wanted == (image.repo_tags.is_empty() && image.repo_digests.is_empty())
        }) && until.is_none_or(|until| created(image) < until)
            && before
                .as_ref()
                .is_none_or(|bound| created(image) < created(bound))
            && since
                .as_ref()
                .is_none_or(|bound| created(image) > created(bound))
            && filters.labels(&image.config.config.labels)
            && filters.any("reference", |pattern| {
                image.repo_tags.iter().any(|tag| matches(tag, pattern))
            })
    });
    // A time is parsed once for each image, not for each comparison.
    images.sort_by_cached_key(|image| std::cmp::Reverse(created(image)));
    let view = |image: Arc<Image>| ImageView {
        containers: users.get(&image.id.to_string()).copied().unwrap_or(0),
        image: with_matching_tags(image, filters),
        shared: None,
    };
    Ok(images.into_iter().map(view).collect())
}

/// Finds what images share with any other; returns the length of all files of all layers, each counted once.
pub fn measure(engine: &Engine, views: &mut [ImageView]) -> u64 {
    let images = engine.images.list();
    let mut users: HashMap<&str, (usize, u64)> = HashMap::new();
    for image in &images {
        for (chain, size) in image.chains.iter().zip(&image.layer_sizes) {
            users.entry(chain).or_insert((0, *size)).0 += 1;
        }
    }
    let shared = |chain: &&String| {
        users
            .get(chain.as_str())
            .is_some_and(|(count, _)| *count > 1)
    };
    for view in views {
        let layers = view.image.chains.iter().filter(shared);
        view.shared = Some(layers.map(|chain| users[chain.as_str()].1).sum());
    }
    users.values().map(|(_, size)| size).sum()
}

/// Of an image that was found by one of its names, only the names that were asked for are shown.
fn with_matching_tags(image: Arc<Image>, filters: &Filters) -> Arc<Image> {
    let asked = |tag: &String| filters.any("reference", |pattern| matches(tag, pattern));
    if image.repo_tags.iter().all(asked) {
        return image;
    }
    let mut image = Arc::unwrap_or_clone(image);
    image.repo_tags.retain(asked);
    Arc::new(image)
}

pub(super) fn created(image: &Image) -> SystemTime {
    stdx::time::parse_rfc3339(&image.created).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// `busybox`, `busy*:1.?`: a pattern for the name, or for the name with its tag.
fn matches(tag: &str, pattern: &str) -> bool {
    let name = tag.rsplit_once(':').map_or(tag, |(name, _)| name);
    glob(pattern.as_bytes(), tag.as_bytes()) || glob(pattern.as_bytes(), name.as_bytes())
}

/// Go's `path.Match`: `*` and `?` match anything but a slash, `[a-c]` and `[^a-c]` one of several, `\\` takes a sign for
/// itself. The pattern is well formed.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let Some((first, more)) = pattern.split_first() else {
        return text.is_empty();
    };
    if *first == b'*' {
        return glob(more, text)
            || matches!(text.split_first(), Some((byte, rest)) if *byte != b'/' && glob(pattern, rest));
    }
    let Some((byte, rest)) = text.split_first() else {
        return false;
    };
    match first {
        b'?' => *byte != b'/' && glob(more, rest),
        b'[' => class(more).is_some_and(|class| class.has(*byte) && glob(class.rest, rest)),
        b'\\' => more.first() == Some(byte) && glob(&more[1..], rest),
        first => first == byte && glob(more, rest),
    }
}

/// Whether a pattern is well formed.
fn is_pattern(pattern: &[u8]) -> bool {
    match pattern.split_first() {
        None => true,
        Some((b'[', more)) => class(more).is_some_and(|class| is_pattern(class.rest)),
        Some((b'\\', more)) => !more.is_empty() && is_pattern(&more[1..]),
        Some((_, more)) => is_pattern(more),
    }
}

/// A set of signs in a pattern.
struct Class<'a> {
    negated: bool,
    ranges: Vec<(u8, u8)>,
    rest: &'a [u8],
}

impl Class<'_> {
    fn has(&self, byte: u8) -> bool {
        let within = |(from, to): &(u8, u8)| (*from..=*to).contains(&byte);
        self.ranges.iter().any(within) != self.negated
    }
}

/// Reads a set behind its opening bracket.
fn class(pattern: &[u8]) -> Option<Class<'_>> {
    let (negated, mut rest) = match pattern.split_first()? {
        (b'^', rest) => (true, rest),
        _ => (false, pattern),
    };
    let mut ranges = Vec::new();
    loop {
        if rest.first()? == &b']' && !ranges.is_empty() {
            let rest = &rest[1..];
            return Some(Class {
                negated,
                ranges,
                rest,
            });
        }
        let (from, more) = sign(rest)?;
        let (to, more) = match more.split_first()? {
            (b'-', more) => sign(more)?,
            _ => (from, more),
        };
        ranges.push((from, to));
        rest = more;
    }
}

/// One end of a range.
fn sign(pattern: &[u8]) -> Option<(u8, &[u8])> {
    match pattern.split_first()? {
        (b'-' | b']', _) => None,
        (b'\\', rest) => rest.split_first().map(|(byte, rest)| (*byte, rest)),
        (byte, rest) => Some((*byte, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_match_by_name_or_by_name_and_tag() {
        for (pattern, expect) in [
            ("busybox", true),
            ("busy*", true),
            ("busybox:latest", true),
            ("*:lat?st", true),
            ("busybox:1", false),
            ("*/busybox", false),
            ("b[tu]sybox", true),
            ("b[^a-s]sybox", true),
            ("b[a-s]sybox", false),
            ("\\busy*", true),
        ] {
            assert_eq!(matches("busybox:latest", pattern), expect, "{pattern}");
        }
    }

    #[test]
    fn patterns_that_are_none_are_known() {
        for (pattern, expect) in [
            ("busy[a-z]*", true),
            ("[", false),
            ("[]", false),
            ("[a", false),
            ("a\\", false),
            ("[a-]", false),
        ] {
            assert_eq!(is_pattern(pattern.as_bytes()), expect, "{pattern}");
        }
    }
}
