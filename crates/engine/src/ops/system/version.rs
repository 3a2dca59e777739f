//! What this engine is and runs on.

use std::sync::Arc;

use crate::Engine;

/// Versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The engine's.
    pub version: String,
    /// The kernel's, `6.18.0`.
    pub kernel: String,
    /// `linux`.
    pub os: &'static str,
    /// `amd64`, `arm64`.
    pub architecture: &'static str,
}

/// The engine's versions.
pub fn version(engine: &Arc<Engine>) -> Version {
    Version {
        version: engine.config.version.clone(),
        kernel: engine.host.kernel.clone(),
        os: "linux",
        architecture: match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        },
    }
}
