//! Corten's own: the check of the store of images.
#![allow(missing_docs, reason = "`docs/design/images.md` has the meaning")]

use serde::{Deserialize, Serialize};

/// `POST /corten/images/fsck`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Report {
    pub images: usize,
    pub blobs: usize,
    pub bytes: u64,
    pub layers: usize,
    pub problems: Vec<Problem>,
}

/// Something that is not what it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Problem {
    /// `blob`, `layer`, `image`, `reference`, `leftover`.
    pub kind: String,
    pub subject: String,
    pub what: String,
    /// `found`, `repaired`, `left`.
    pub outcome: String,
    /// What was done, or why nothing was.
    pub detail: String,
}
