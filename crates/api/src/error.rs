//! The one shape of every error answer.

use serde::{Deserialize, Serialize};

/// `{"message": "…"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// What users see.
    #[serde(default)]
    pub message: String,
}
