//! Manifests: fetched in every format that is known, and never believed before their digest is.

use ::http::header::{HeaderMap, HeaderValue};
use ::http::{Method, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use oci::Digest;
use serde::Deserialize;

use super::endpoint::Endpoint;
use super::http::{Call, read};
use super::repository::{Manifest, Need, Repository};
use crate::wire::{media, path};
use crate::{Error, Result};

/// Bytes of a manifest (specification: Pushing Manifests asks for no less).
const MAX_MANIFEST: usize = 4 << 20;
/// The digest of what is sent (specification: Pulling manifests).
const DIGEST: &str = "docker-content-digest";

/// What a registry says that keeps lists of referrers (specification: Pushing Manifests with Subject).
const SUBJECT: &str = "oci-subject";

impl Repository {
    /// A manifest or an index by tag or digest, verified (specification: end-3).
    pub async fn manifest(&self, tag_or_digest: &str) -> Result<Manifest> {
        let mut failure = None;
        for endpoint in self.endpoints(need(tag_or_digest))? {
            match self.manifest_of(endpoint, tag_or_digest).await {
                Ok(manifest) => return Ok(manifest),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.expect("there is one place at least"))
    }

    pub(super) async fn manifest_of(
        &self,
        endpoint: &Endpoint,
        reference: &str,
    ) -> Result<Manifest> {
        let path = path::manifest(&self.name.path, reference);
        let (call, answer) = self.ask(endpoint, Method::GET, &path, accept).await?;
        if answer.status() != StatusCode::OK {
            return Err(self.refusal(&call, answer, Some(reference)).await);
        }
        let headers = answer.headers().clone();
        let whole = read(&call, answer, "manifest", MAX_MANIFEST).await?;
        let media_type = media_type(&headers, &whole);
        let bytes = content(&media_type, &whole);
        let digest = sha256(&bytes);
        // By digest, that is what counts; by tag, the registry may say what it means to send.
        let said = headers.get(DIGEST).and_then(|value| value.to_str().ok());
        let (what, expected) = match reference.parse::<Digest>() {
            Ok(asked) => ("manifest", Some(asked)),
            Err(_) => ("image", said.and_then(|said| said.parse().ok())),
        };
        match expected {
            // A signed manifest may be meant with its signatures.
            Some(expected) if expected != digest => {
                if sha256(&whole) != expected {
                    return Err(Error::Digest {
                        what,
                        expected,
                        found: digest.to_string(),
                    });
                }
                Ok(Manifest {
                    media_type,
                    digest: expected,
                    bytes: whole,
                })
            }
            _ => Ok(Manifest {
                media_type,
                digest,
                bytes,
            }),
        }
    }

    /// The digest of what a tag stands for, by the registry's word alone; `None` where it does not say.
    pub async fn manifest_digest(&self, tag_or_digest: &str) -> Result<Option<Digest>> {
        let path = path::manifest(&self.name.path, tag_or_digest);
        let mut failure = None;
        for endpoint in self.endpoints(need(tag_or_digest))? {
            match self.ask(endpoint, Method::HEAD, &path, accept).await {
                Ok((_, answer)) if answer.status() == StatusCode::OK => {
                    let said = answer.headers().get(DIGEST);
                    return Ok(said.and_then(|said| said.to_str().ok()?.parse().ok()));
                }
                Ok((call, answer)) => {
                    failure = Some(self.refusal(&call, answer, Some(tag_or_digest)).await);
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.expect("there is one place at least"))
    }

    /// Uploads a manifest or an index, and returns its digest (specification: end-7). One that names a subject is listed
    /// with the subject's referrers, by the registry or else by us.
    pub async fn put_manifest(
        &self,
        tag_or_digest: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Digest> {
        let (digest, listed) = self
            .put_alone(tag_or_digest, media_type, bytes.clone())
            .await?;
        if !listed && let Err(error) = self.list_referrer(media_type, &bytes, &digest).await {
            // What was pushed is there, and docker's push knows no such list: a registry that refuses it refuses no push.
            tracing::warn!(%digest, %error, "list a manifest with the referrers of its subject");
        }
        Ok(digest)
    }

    /// Uploads a manifest or an index; its digest, and whether the registry knows whose referrer it is.
    pub(super) async fn put_alone(
        &self,
        tag_or_digest: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<(Digest, bool)> {
        let digest = sha256(&content(media_type, &bytes));
        let content_type = HeaderValue::from_str(media_type)
            .map_err(|_| Error::Settings(format!("media type {media_type:?} is invalid")))?;
        let path = path::manifest(&self.name.path, tag_or_digest);
        let endpoint = self.endpoints(Need::Push)?[0];
        let fill = |call: &mut Call| {
            call.headers
                .insert(header::CONTENT_TYPE, content_type.clone());
            call.body = bytes.clone();
            call.limit = super::upload::COMMIT;
        };
        let (call, answer) = self.ask(endpoint, Method::PUT, &path, fill).await?;
        if !matches!(answer.status().as_u16(), 200..=202) {
            return Err(self.refusal(&call, answer, Some(tag_or_digest)).await);
        }
        let said = answer.headers().get(DIGEST);
        match said.and_then(|said| said.to_str().ok()?.parse::<Digest>().ok()) {
            Some(said) if said != digest => Err(Error::Digest {
                what: "manifest",
                expected: digest,
                found: said.to_string(),
            }),
            _ => Ok((digest, answer.headers().contains_key(SUBJECT))),
        }
    }
}

fn need(tag_or_digest: &str) -> Need {
    if tag_or_digest.contains(':') {
        Need::Content
    } else {
        Need::Tag
    }
}

fn accept(call: &mut Call) {
    let value = HeaderValue::from_str(&media::ACCEPT.join(", "));
    call.headers.insert(
        header::ACCEPT,
        value.expect("media types are visible ASCII"),
    );
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Kind {
    media_type: String,
    schema_version: u32,
    signatures: Option<serde_json::Value>,
    manifests: Option<serde_json::Value>,
}

/// The header's word, or the document's where the header says nothing.
fn media_type(headers: &HeaderMap, bytes: &[u8]) -> String {
    let said = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .unwrap_or_default();
    if !matches!(
        said,
        "" | "application/json" | "text/plain" | "application/octet-stream"
    ) {
        return said.to_owned();
    }
    let kind: Kind = serde_json::from_slice(bytes).unwrap_or_default();
    if !kind.media_type.is_empty() {
        return kind.media_type;
    }
    let known = match (kind.schema_version, kind.manifests.is_some()) {
        (1, _) if kind.signatures.is_some() => media::SCHEMA1_SIGNED,
        (1, _) => media::SCHEMA1,
        (_, true) => media::OCI_INDEX,
        (_, false) => media::OCI_MANIFEST,
    };
    known.to_owned()
}

/// What the digest of a manifest of this type is of: of a signed one the payload, whatever stands around it. Nothing else
/// of it may be believed, for the sender alone chooses which bytes are the payload.
fn content(media_type: &str, whole: &Bytes) -> Bytes {
    let old = matches!(media_type, media::SCHEMA1_SIGNED | media::SCHEMA1);
    let payload = old.then(|| schema1_payload(whole)).flatten();
    payload.map_or_else(|| whole.clone(), Bytes::from)
}

pub(super) fn sha256(bytes: &[u8]) -> Digest {
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    let bytes: [u8; 32] = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
    Digest::from_sha256(bytes)
}

#[derive(Deserialize)]
struct Signed {
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    protected: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Protected {
    format_length: usize,
    format_tail: String,
}

/// What was signed: the document up to the signatures, and the tail that they replaced (libtrust's JSON signatures).
fn schema1_payload(bytes: &[u8]) -> Option<Vec<u8>> {
    let signed: Signed = serde_json::from_slice(bytes).ok()?;
    let protected = URL_SAFE_NO_PAD
        .decode(&signed.signatures.first()?.protected)
        .ok()?;
    let protected: Protected = serde_json::from_slice(&protected).ok()?;
    let mut payload = bytes.get(..protected.format_length)?.to_vec();
    payload.extend(URL_SAFE_NO_PAD.decode(&protected.format_tail).ok()?);
    Some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_manifest_is_its_payload() {
        let payload = b"{\n   \"schemaVersion\": 1,\n   \"name\": \"a\"\n}";
        let length = payload.len() - 2;
        let protected = format!(
            r#"{{"formatLength":{length},"formatTail":"{}"}}"#,
            URL_SAFE_NO_PAD.encode(b"\n}")
        );
        let mut signed = payload[..length].to_vec();
        signed.extend(
            format!(
                ",\n   \"signatures\": [{{\"protected\": \"{}\"}}]\n}}",
                URL_SAFE_NO_PAD.encode(protected)
            )
            .bytes(),
        );
        let signed = Bytes::from(signed);
        assert_eq!(content(media::SCHEMA1_SIGNED, &signed), payload[..]);
        assert_eq!(content(media::OCI_MANIFEST, &signed), signed);
        let lying = br#"{"signatures":[{"protected":"eyJmb3JtYXRMZW5ndGgiOjk5OTk5OX0"}]}"#;
        let lying = Bytes::from_static(lying);
        assert_eq!(content(media::SCHEMA1_SIGNED, &lying), lying);
    }

    #[test]
    fn a_type_is_found_where_the_registry_does_not_say() {
        let headers = HeaderMap::new();
        for (text, expected) in [
            (r#"{"schemaVersion":2,"manifests":[]}"#, media::OCI_INDEX),
            (r#"{"schemaVersion":2}"#, media::OCI_MANIFEST),
            (
                r#"{"schemaVersion":1,"signatures":[]}"#,
                media::SCHEMA1_SIGNED,
            ),
            (r#"{"mediaType":"a/b"}"#, "a/b"),
        ] {
            assert_eq!(media_type(&headers, text.as_bytes()), expected);
        }
    }
}
