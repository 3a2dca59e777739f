//! Images.
#![allow(
    missing_docs,
    reason = "the fields are the Engine API's, documented in its own reference"
)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::is_zero;

/// One entry of `GET /images/json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Summary {
    pub containers: i64,
    pub created: i64,
    pub id: String,
    pub labels: Option<BTreeMap<String, String>>,
    pub parent_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<Descriptor>,
    pub repo_digests: Option<Vec<String>>,
    pub repo_tags: Vec<String>,
    pub shared_size: i64,
    pub size: i64,
    /// Until 1.43.
    #[serde(skip_serializing_if = "is_zero")]
    pub virtual_size: i64,
}

/// `GET /images/{name}/json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Inspect {
    pub id: String,
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
    pub parent: String,
    pub comment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Until 1.44, and empty then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_config: Option<crate::config::Config>,
    pub docker_version: String,
    pub author: String,
    /// The image's own configuration; which zero values are written depends on the version.
    pub config: BTreeMap<String, Value>,
    pub architecture: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub variant: String,
    pub os: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub os_version: String,
    pub size: i64,
    /// Until 1.43.
    #[serde(skip_serializing_if = "is_zero")]
    pub virtual_size: i64,
    pub graph_driver: GraphDriver,
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
    pub metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<Descriptor>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RootFs {
    #[serde(rename = "Type", skip_serializing_if = "is_zero")]
    pub kind: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Metadata {
    pub last_tag_time: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct GraphDriver {
    pub data: Option<BTreeMap<String, String>>,
    pub name: String,
}

/// An OCI descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: String,
    pub digest: String,
    pub size: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    pub architecture: String,
    pub os: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub variant: String,
}

/// One entry of the answer to `DELETE /images/{name}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeleteItem {
    #[serde(skip_serializing_if = "is_zero")]
    pub untagged: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub deleted: String,
}

/// One layer of `GET /images/{name}/history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HistoryItem {
    pub comment: String,
    pub created: i64,
    pub created_by: String,
    pub id: String,
    pub size: i64,
    pub tags: Option<Vec<String>>,
}

/// `GET /distribution/{name}/json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Distribution {
    pub descriptor: Descriptor,
    pub platforms: Vec<Platform>,
}

/// One entry of `GET /images/search`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SearchResult {
    pub star_count: i64,
    pub is_official: bool,
    pub name: String,
    pub is_automated: bool,
    pub description: String,
}
