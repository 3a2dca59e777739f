//! Image configurations, manifests and indexes, as Docker and the OCI write them.
//!
//! Documents are data: nothing in them controls the host. Every `null` is read as "not given".

#![expect(
    clippy::zero_sized_map_values,
    reason = "Go writes a set as an object of empty objects"
)]

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Digest, Error};

/// Documents above this are refused before they are parsed.
pub const MAX_DOCUMENT: u64 = 8 << 20;

/// A set in Go's spelling: an object whose values are empty objects.
pub type Set = BTreeMap<String, Empty>;

/// `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The configuration of an image; its SHA-256 is the image's id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub created: String,
    /// Who made it.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// Go's name of the processor.
    #[serde(deserialize_with = "given")]
    pub architecture: String,
    /// Variant of the processor.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// Go's name of the system.
    #[serde(deserialize_with = "given")]
    pub os: String,
    /// Version of the system.
    #[serde(
        rename = "os.version",
        deserialize_with = "given",
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    /// What an import was for.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Version of the Docker that made it.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub docker_version: String,
    /// How containers of it run.
    #[serde(deserialize_with = "given")]
    pub config: ContainerConfig,
    /// The layers.
    #[serde(deserialize_with = "given")]
    pub rootfs: RootFs,
    /// How it was made.
    #[serde(deserialize_with = "given", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
}

/// How containers of an image run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// Host name.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// Domain name.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub domainname: String,
    /// `user[:group]`, names or numbers.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `port/protocol`.
    #[serde(deserialize_with = "given", skip_serializing_if = "Set::is_empty")]
    pub exposed_ports: Set,
    /// `KEY=value`.
    #[serde(deserialize_with = "given", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Default arguments.
    #[serde(deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// How to tell that a container works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Whether the command is escaped already (Windows).
    #[serde(deserialize_with = "given", skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    /// Paths that become volumes.
    #[serde(deserialize_with = "given", skip_serializing_if = "Set::is_empty")]
    pub volumes: Set,
    /// Working directory.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// What is executed.
    #[serde(deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Instructions for builds on this image.
    #[serde(deserialize_with = "given", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// Labels.
    #[serde(deserialize_with = "given", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The signal that `stop` sends.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Seconds that `stop` waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// The shell of the shell forms.
    #[serde(deserialize_with = "words", skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
}

/// How to tell that a container works. Times in nanoseconds; zero means the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `NONE`, `CMD` and arguments, or `CMD-SHELL` and one text.
    #[serde(deserialize_with = "given", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Between two probes.
    #[serde(deserialize_with = "given", skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// For one probe.
    #[serde(deserialize_with = "given", skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// In which failures do not count.
    #[serde(deserialize_with = "given", skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Between two probes in the start period.
    #[serde(deserialize_with = "given", skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(deserialize_with = "given", skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// The layers of an image, lowest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type", deserialize_with = "given")]
    pub kind: String,
    /// Digest of each layer's uncompressed archive.
    #[serde(deserialize_with = "given")]
    pub diff_ids: Vec<Digest>,
}

/// One step of making an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When, RFC 3339.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub created: String,
    /// By what instruction.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// By whom.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// What for.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether it made no layer.
    #[serde(deserialize_with = "given", skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Reads a configuration. The bytes themselves are the caller's to keep: the id is their digest.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "image configuration";
        object(WHAT, bytes)?;
        let config: Self = parse(WHAT, bytes)?;
        if !matches!(config.rootfs.kind.as_str(), "layers" | "") {
            let reason = format!(
                "root filesystem of type {:?} is not made of layers",
                config.rootfs.kind
            );
            return Err(Error::Document { what: WHAT, reason });
        }
        Ok(config)
    }

    /// The bytes of a configuration that is made here.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self)
            .expect("strings, numbers and maps with string keys are always JSON")
    }
}

/// What a document refers to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "String::is_empty"
    )]
    pub media_type: String,
    /// Its name.
    pub digest: Digest,
    /// Its length.
    pub size: u64,
    /// Remarks.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// What an image runs on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// Go's name of the processor.
    #[serde(deserialize_with = "given")]
    pub architecture: String,
    /// Go's name of the system.
    #[serde(deserialize_with = "given")]
    pub os: String,
    /// Variant of the processor.
    #[serde(deserialize_with = "given", skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// One image: a configuration and layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// What kind of manifest this is.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "String::is_empty"
    )]
    pub media_type: String,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// Several images, or one for several platforms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// What kind of index this is.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "String::is_empty"
    )]
    pub media_type: String,
    /// What it lists.
    #[serde(deserialize_with = "given")]
    pub manifests: Vec<Descriptor>,
}

/// A manifest or an index, told apart by what it has; one with both is refused (CVE-2021-41190).
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// A list.
    Index(Index),
}

impl Document {
    /// Reads a manifest or an index.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "manifest";
        object(WHAT, bytes)?;
        let shape: Shape = parse(WHAT, bytes)?;
        let refuse = |reason: &str| {
            Err(Error::Document {
                what: WHAT,
                reason: reason.to_owned(),
            })
        };
        if shape.schema_version != 2 {
            return refuse("only schema version 2 is understood");
        }
        let (listed, layered) = (
            shape.manifests.is_some(),
            shape.layers.is_some() || shape.config.is_some(),
        );
        let kind = shape.media_type.unwrap_or_default();
        let index_kind = kind.contains("image.index") || kind.contains("manifest.list");
        match (listed, layered) {
            (true, true) => refuse("it is an index and an image at once"),
            (true, false) if kind.is_empty() || index_kind => {
                Ok(Self::Index(parse("index", bytes)?))
            }
            (false, true) if !index_kind => Ok(Self::Manifest(parse(WHAT, bytes)?)),
            (false, false) => refuse("it is neither an index nor an image"),
            _ => refuse("its media type contradicts its content"),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
}

/// One image in `manifest.json` of `docker save`. The names are paths inside the archive, of whatever shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ArchiveImage {
    /// The configuration's file.
    pub config: String,
    /// Names to give; `null` when there is none.
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
    /// The layers' files, lowest first.
    #[serde(default, deserialize_with = "given")]
    pub layers: Vec<String>,
    /// What each layer is in the archive, by the digest of its content.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub layer_sources: BTreeMap<Digest, Descriptor>,
}

impl ArchiveImage {
    /// Reads `manifest.json`.
    pub fn parse_list(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        parse("manifest.json", bytes)
    }
}

/// Refuses what is not an object: serde would read a list as the fields in their order.
pub(crate) fn object(what: &'static str, bytes: &[u8]) -> Result<(), Error> {
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        return Ok(());
    }
    Err(Error::Document {
        what,
        reason: "it is not an object".to_owned(),
    })
}

pub(crate) fn parse<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::Json { what, source })
}

/// Reads `null` as the default.
pub(crate) fn given<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a list of words, or one text as a list of one; `null` is not an empty list.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        Many(Vec<String>),
    }
    Ok(Option::deserialize(deserializer)?.map(|words| match words {
        Words::One(word) => vec![word],
        Words::Many(words) => words,
    }))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
