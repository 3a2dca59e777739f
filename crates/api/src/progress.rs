//! Messages of load, import and pull: one JSON object a line, each ended by CRLF.
#![allow(
    missing_docs,
    reason = "the fields are the Engine API's, documented in its own reference"
)]

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::is_zero;

/// One line of a progress stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    #[serde(skip_serializing_if = "is_zero")]
    pub stream: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub status: String,
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub progress_detail: Option<ProgressDetail>,
    #[serde(skip_serializing_if = "is_zero")]
    pub progress: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub id: String,
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<ErrorDetail>,
    #[serde(skip_serializing_if = "is_zero")]
    pub error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressDetail {
    #[serde(skip_serializing_if = "is_zero")]
    pub current: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub total: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub units: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub hidecounts: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorDetail {
    #[serde(skip_serializing_if = "is_zero")]
    pub code: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub message: String,
}

impl Message {
    /// A line of the `stream` kind, as load prints.
    pub fn stream(text: impl Into<String>) -> Self {
        Self {
            stream: text.into(),
            ..Self::default()
        }
    }

    /// A line of the `status` kind, as import and pull print.
    pub fn status(text: impl Into<String>) -> Self {
        Self {
            status: text.into(),
            ..Self::default()
        }
    }

    /// An error after the first byte of a 200 answer.
    pub fn error(text: impl Into<String>) -> Self {
        let message = text.into();
        let error_detail = Some(ErrorDetail {
            code: 0,
            message: message.clone(),
        });
        Self {
            error: message,
            error_detail,
            ..Self::default()
        }
    }
}
