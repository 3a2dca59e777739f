//! Answers of everything that prunes.
#![allow(
    missing_docs,
    reason = "the fields are the Engine API's, documented in its own reference"
)]

use serde::{Deserialize, Serialize};

use crate::image::DeleteItem;

/// `POST /containers/prune`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Containers {
    /// `null` when there is none.
    pub containers_deleted: Option<Vec<String>>,
    pub space_reclaimed: u64,
}

/// `POST /images/prune`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Images {
    /// `null` when there is none.
    pub images_deleted: Option<Vec<DeleteItem>>,
    pub space_reclaimed: u64,
}

/// `POST /networks/prune`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Networks {
    /// `null` when there is none.
    pub networks_deleted: Option<Vec<String>>,
}

/// `POST /volumes/prune`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Volumes {
    /// `[]` when there is none.
    pub volumes_deleted: Vec<String>,
    pub space_reclaimed: u64,
}

/// `POST /build/prune`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct BuildCache {
    /// `null` when there is none.
    pub caches_deleted: Option<Vec<String>>,
    pub space_reclaimed: u64,
}
