//! Paths and queries (specification: Endpoints).

use std::fmt::Write as _;

use oci::Digest;

/// end-1: is this a registry?
pub const BASE: &str = "/v2/";

/// end-3, end-7: a manifest by tag or digest.
pub fn manifest(repository: &str, reference: &str) -> String {
    format!("/v2/{repository}/manifests/{reference}")
}

/// end-2: a blob.
pub fn blob(repository: &str, digest: &Digest) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

/// end-4a: begin an upload.
pub fn uploads(repository: &str) -> String {
    format!("/v2/{repository}/blobs/uploads/")
}

/// end-11: a blob of another repository.
pub fn mount(repository: &str, digest: &Digest, from: &str) -> String {
    format!(
        "/v2/{repository}/blobs/uploads/?mount={}&from={}",
        encode(digest.as_str()),
        encode(from)
    )
}

/// end-8b: tags, a page of them.
pub fn tags(repository: &str, count: usize) -> String {
    format!("/v2/{repository}/tags/list?n={count}")
}

/// A path with one more parameter in its query.
pub fn with_parameter(path: &str, name: &str, value: &str) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}{name}={}", encode(value))
}

/// Percent-encodes everything but what is never special (RFC 3986, section 2.3).
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded() {
        assert_eq!(
            with_parameter("/a", "scope", "repository:a/b:pull,push"),
            "/a?scope=repository%3Aa%2Fb%3Apull%2Cpush"
        );
        assert_eq!(with_parameter("/a?b=c", "d", "&"), "/a?b=c&d=%26");
    }
}
