//! Referrers, for a registry that does not know them: the list of those that name a manifest as their subject, under a tag
//! made of its digest (specification: Referrers Tag Schema).

use bytes::Bytes;
use oci::Digest;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stdx::ErrorKind;

use super::repository::{Need, Repository};
use crate::wire::media;
use crate::{Error, Result};

/// What of a manifest its place in the list is made of.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Referrer {
    artifact_type: String,
    subject: Option<Typed>,
    config: Option<Typed>,
    annotations: Option<Map<String, Value>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Typed {
    media_type: String,
    digest: String,
}

impl Repository {
    /// Adds a manifest that was put to the list of its subject, where it has one.
    pub(super) async fn list_referrer(
        &self,
        media_type: &str,
        bytes: &[u8],
        digest: &Digest,
    ) -> Result<()> {
        let manifest: Referrer = serde_json::from_slice(bytes).unwrap_or_default();
        let subject = manifest.subject.as_ref().map(|subject| &subject.digest);
        let Some(subject) = subject.and_then(|subject| subject.parse::<Digest>().ok()) else {
            return Ok(());
        };
        // The specification cuts the digest's halves to 32 and 64 characters; SHA-256 has fewer.
        let tag = subject.as_str().replace(':', "-");
        let endpoint = self.endpoints(Need::Push)?[0];
        let mut list = match self.manifest_of(endpoint, &tag).await {
            Ok(found) => read(&found.bytes).ok_or_else(|| Error::Protocol {
                host: self.name.domain.clone(),
                why: format!("the tag {tag} is no list of referrers"),
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => empty(),
            Err(error) => return Err(error),
        };
        let own = entry(&manifest, media_type, bytes.len(), digest);
        let Some(entries) = list["manifests"].as_array_mut() else {
            return Ok(());
        };
        if entries.iter().any(|entry| entry["digest"] == own["digest"]) {
            return Ok(());
        }
        entries.push(own);
        let list = Bytes::from(list.to_string());
        self.put_alone(&tag, media::OCI_INDEX, list).await.map(drop)
    }
}

fn empty() -> Value {
    json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": []})
}

/// The list as it is, what we do not know in it as well.
fn read(bytes: &[u8]) -> Option<Value> {
    let list: Value = serde_json::from_slice(bytes).ok()?;
    let typed = list["mediaType"].as_str().unwrap_or(media::OCI_INDEX);
    (typed == media::OCI_INDEX && list["manifests"].is_array()).then_some(list)
}

fn entry(manifest: &Referrer, media_type: &str, size: usize, digest: &Digest) -> Value {
    let mut entry = json!({"mediaType": media_type, "digest": digest.as_str(), "size": size});
    let config = manifest.config.as_ref();
    let kind = match manifest.artifact_type.as_str() {
        "" => config.map_or("", |config| &config.media_type),
        kind => kind,
    };
    if !kind.is_empty() {
        entry["artifactType"] = kind.into();
    }
    if let Some(annotations) = &manifest.annotations {
        entry["annotations"] = annotations.clone().into();
    }
    entry
}
