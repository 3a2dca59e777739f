//! Image references, as far as the client judges them before it asks the daemon.

/// Checks a reference and prints it as people write it, with its tag: `busybox:latest`. An image's full id passes as it
/// is.
pub(crate) fn familiar(text: &str) -> Result<String, String> {
    if is_id(text) || text.strip_prefix("sha256:").is_some_and(is_id) {
        return Ok(text.to_owned());
    }
    let (domain, remainder) = split_domain(text);
    let path_end = remainder.find([':', '@']).unwrap_or(remainder.len());
    let (path, suffix) = remainder.split_at(path_end);
    if path.chars().any(|letter| letter.is_ascii_uppercase()) {
        return Err(format!(
            "invalid reference format: repository name ({path}) must be lowercase"
        ));
    }
    let invalid = || "invalid reference format".to_owned();
    let (tag, digest) = suffix
        .split_once('@')
        .map_or((suffix, None), |(tag, digest)| (tag, Some(digest)));
    let tag = tag.strip_prefix(':');
    let valid = is_domain(&domain)
        && path.split('/').all(is_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest);
    if !valid {
        return Err(invalid());
    }
    if domain.len() + path.len() >= 255 {
        return Err("repository name must not be more than 255 characters".to_owned());
    }
    let name = match (domain.as_str(), path.strip_prefix("library/")) {
        ("docker.io", Some(name)) if !name.contains('/') => name.to_owned(),
        ("docker.io", _) => path.to_owned(),
        _ => format!("{domain}/{path}"),
    };
    Ok(match (tag, digest) {
        (None, None) => format!("{name}:latest"),
        _ => format!("{name}{suffix}"),
    })
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

/// A reference with its registry: `docker.io/library/busybox:latest`.
pub(crate) fn full(image: &str) -> String {
    let (domain, rest) = split_domain(image);
    format!("{domain}/{rest}")
}

/// The registry of an image.
pub(crate) fn domain(image: &str) -> String {
    split_domain(image).0
}

fn is_id(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn split_domain(text: &str) -> (String, String) {
    let (domain, rest) = match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.to_ascii_lowercase() != first =>
        {
            (first, rest)
        }
        _ => ("docker.io", text),
    };
    let domain = if domain == "index.docker.io" {
        "docker.io"
    } else {
        domain
    };
    if domain == "docker.io" && !rest.contains('/') {
        return (domain.to_owned(), format!("library/{rest}"));
    }
    (domain.to_owned(), rest.to_owned())
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !domain.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let label = |label: &str| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric();
        label.bytes().all(|byte| letter(byte) || byte == b'-')
            && label.bytes().next().is_some_and(letter)
            && label.bytes().last().is_some_and(letter)
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'));
    let host_is_valid =
        bracketed.map_or_else(|| host.split('.').all(label), |inner| !inner.is_empty());
    host_is_valid
        && port
            .is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_well =
        bytes.first().copied().is_some_and(letter) && bytes.last().copied().is_some_and(letter);
    ends_well
        && component
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|separator| {
                ["", ".", "_", "__"].contains(&separator)
                    || separator.bytes().all(|byte| byte == b'-')
            })
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&tag.len())
        && word(tag.as_bytes()[0])
        && tag
            .bytes()
            .all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty() && hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
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
