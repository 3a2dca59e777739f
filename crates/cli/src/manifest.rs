//! Manifests and lists of them, as the command `manifest` keeps and shows them: docker's formats, so that lists which one
//! of the two command lines began can be gone on with by the other.

pub(crate) mod json;
pub(crate) mod remote;
pub(crate) mod store;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::image::Manifest;
use oci::{Digest, Reference};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::report::Failure;

const OCI_INDEX: &str = registry::wire::media::OCI_INDEX;
const OCI_MANIFEST: &str = registry::wire::media::OCI_MANIFEST;
const DOCKER_LIST: &str = registry::wire::media::DOCKER_LIST;

/// The manifest of one image, and for what it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ImageManifest {
    /// Its name in full.
    #[serde(rename = "Ref")]
    pub(crate) reference: String,
    pub(crate) descriptor: Descriptor,
    /// The manifest as it came, in base64. Files of old clients have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    raw: String,
    /// The same to look at, under a name for its format.
    #[serde(
        default,
        rename = "SchemaV2Manifest",
        skip_serializing_if = "Option::is_none"
    )]
    schema2: Option<Box<RawValue>>,
    #[serde(
        default,
        rename = "OCIManifest",
        skip_serializing_if = "Option::is_none"
    )]
    oci: Option<Box<RawValue>>,
}

/// What a list says of a manifest, in the order in which the Open Container Initiative's Go types print it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
}

/// What an image runs on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(rename = "os.version", skip_serializing_if = "String::is_empty")]
    pub(crate) os_version: String,
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub(crate) os_features: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) variant: String,
}

/// A list, as it is pushed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Entry<'a>>,
}

/// The order is that of docker's lists: their digests depend on it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    media_type: &'a str,
    size: u64,
    digest: &'a str,
    platform: Platform,
}

impl ImageManifest {
    /// From a manifest as it came.
    pub(crate) fn new(
        reference: &Reference,
        found: &registry::client::Manifest,
        platform: Platform,
    ) -> Result<Self, Failure> {
        let shown: Box<RawValue> = serde_json::from_slice(&found.bytes)
            .map_err(|error| Failure::new(format!("parse manifest of {reference}: {error}")))?;
        let (schema2, oci) = if found.media_type == OCI_MANIFEST {
            (None, Some(shown))
        } else {
            (Some(shown), None)
        };
        Ok(Self {
            reference: reference.to_string(),
            descriptor: Descriptor {
                media_type: found.media_type.clone(),
                digest: found.digest.to_string(),
                size: found.bytes.len() as u64,
                platform: Some(platform),
            },
            raw: STANDARD.encode(&found.bytes),
            schema2,
            oci,
        })
    }

    /// Whether the manifest itself was kept.
    pub(crate) fn is_whole(&self) -> bool {
        !self.raw.is_empty()
    }

    /// The manifest's bytes.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, Failure> {
        if self.is_whole() {
            return STANDARD
                .decode(&self.raw)
                .map_err(|error| Failure::new(format!("decode {}: {error}", self.reference)));
        }
        match self.schema2.as_ref().or(self.oci.as_ref()) {
            Some(shown) => Ok(shown.get().as_bytes().to_vec()),
            None => Err(Failure::new(format!("{} has no payload", self.reference))),
        }
    }

    /// The blobs that the manifest names.
    pub(crate) fn blobs(&self) -> Result<Vec<Digest>, Failure> {
        let manifest: Manifest = serde_json::from_slice(&self.payload()?)
            .map_err(|error| Failure::new(format!("parse {}: {error}", self.reference)))?;
        let layers = manifest.layers.into_iter().map(|layer| layer.digest);
        Ok([manifest.config.digest].into_iter().chain(layers).collect())
    }

    pub(crate) fn parsed_reference(&self) -> Result<Reference, Failure> {
        self.reference.parse().map_err(wrong)
    }
}

/// A list of these manifests for the repository `target`: its media type, and its bytes.
pub(crate) fn list(
    target: &Reference,
    manifests: &[ImageManifest],
) -> Result<(&'static str, Vec<u8>), Failure> {
    let mut entries = Vec::new();
    for manifest in manifests {
        let source = manifest.parsed_reference()?;
        if source.domain != target.domain {
            return Err(Failure::new(format!(
                "cannot use source images from a different registry than the target image: {} != {}",
                source.domain, target.domain
            )));
        }
        let descriptor = &manifest.descriptor;
        entries.push(Entry {
            media_type: &descriptor.media_type,
            size: descriptor.size,
            digest: &descriptor.digest,
            platform: descriptor.platform.clone().unwrap_or_default(),
        });
    }
    let media_type = match entries.first() {
        Some(first) if first.media_type == OCI_MANIFEST => OCI_INDEX,
        _ => DOCKER_LIST,
    };
    let list = List {
        schema_version: 2,
        media_type,
        manifests: entries,
    };
    Ok((media_type, json::pretty(&list, "   ")?.into_bytes()))
}

/// A name with its tag or digest, judged in docker's words.
pub(crate) fn reference(text: &str) -> Result<Reference, Failure> {
    let reference: Reference = text.parse().map_err(wrong)?;
    Ok(reference.with_default_tag())
}

fn wrong(error: oci::Error) -> Failure {
    Failure::new(error.to_string())
}
