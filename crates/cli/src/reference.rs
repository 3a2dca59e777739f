//! Image references, as far as the client judges them before it asks the daemon.

use oci::Reference;

/// Checks a reference and prints it as people write it, with its tag: `busybox:latest`. An image's full id passes as it
/// is.
pub(crate) fn familiar(text: &str) -> Result<String, String> {
    if is_id(text) || text.strip_prefix("sha256:").is_some_and(is_id) {
        return Ok(text.to_owned());
    }
    let reference: Reference = text
        .parse()
        .map_err(|error: oci::Error| error.to_string())?;
    Ok(reference.with_default_tag().familiar())
}

/// Whether a reference, as typed, says which image of its repository is meant.
pub(crate) fn has_tag_or_digest(text: &str) -> bool {
    let last = text.rsplit('/').next().unwrap_or(text);
    last.contains([':', '@'])
}

/// Repository, and tag or digest, of a reference that has one.
pub(crate) fn split(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        // With a digest, the tag says nothing.
        return (split_tag(name).map_or(name, |(name, _)| name), digest);
    }
    split_tag(image).unwrap_or((image, "latest"))
}

fn split_tag(image: &str) -> Option<(&str, &str)> {
    image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))
}

/// A reference with its registry: `docker.io/library/busybox:latest`. What is none stays as it is.
pub(crate) fn full(image: &str) -> String {
    image.parse().map_or_else(
        |_| image.to_owned(),
        |reference: Reference| reference.to_string(),
    )
}

/// The registry of an image.
pub(crate) fn domain(image: &str) -> String {
    image.parse().map_or_else(
        |_| oci::reference::DEFAULT_DOMAIN.to_owned(),
        |reference: Reference| reference.domain,
    )
}

fn is_id(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::familiar;

    #[test]
    fn references_are_judged_as_docker_does() {
        let lower = "invalid reference format: repository name (library/UPPER) must be lowercase";
        for (text, expect) in [
            ("busybox", Ok("busybox:latest")),
            ("docker.io/library/busybox:1", Ok("busybox:1")),
            ("a/b", Ok("a/b:latest")),
            ("localhost:5000/a__b", Ok("localhost:5000/a__b:latest")),
            ("UPPER", Err(lower)),
            ("-", Err("invalid reference format")),
            ("", Err("invalid reference format")),
            ("a:b:c", Err("invalid reference format")),
            ("a//b", Err("invalid reference format")),
            ("a___b", Err("invalid reference format")),
        ] {
            assert_eq!(
                familiar(text),
                expect.map(str::to_owned).map_err(str::to_owned),
                "{text:?}"
            );
        }
    }
}
