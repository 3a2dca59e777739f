//! `--security-opt`: the client reads the seccomp profile's file, the daemon gets its text.

use crate::env::Env;
use crate::flags::Given;
use crate::report::{Failure, reason};

/// The options for the daemon.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Security {
    pub(crate) options: Vec<String>,
    /// `systempaths=unconfined`: nothing below /proc and /sys is masked or read-only.
    pub(crate) unconfined_paths: bool,
}

/// Reads all `--security-opt` flags.
pub(crate) fn parse(env: &Env, given: &Given) -> Result<Security, Failure> {
    let mut security = Security::default();
    for option in given.list("security-opt") {
        if option == "systempaths=unconfined" {
            security.unconfined_paths = true;
            continue;
        }
        let pair = option.split_once('=').or_else(|| option.split_once(':'));
        match pair {
            None if option != "no-new-privileges" => {
                return Err(Failure::new(format!("Invalid --security-opt: {option:?}")));
            }
            Some(("seccomp", profile)) if profile != "unconfined" && profile != "builtin" => {
                security
                    .options
                    .push(format!("seccomp={}", profile_text(env, profile)?));
            }
            _ => security.options.push(option),
        }
    }
    Ok(security)
}

fn profile_text(env: &Env, path: &str) -> Result<String, Failure> {
    let bytes = std::fs::read(env.absolute(path)).map_err(|error| {
        Failure::new(format!(
            "opening seccomp profile ({path}) failed: open {path}: {}",
            reason(&error)
        ))
    })?;
    let profile: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(format!(
            "compacting json for seccomp profile ({path}) failed: {error}"
        ))
    })?;
    Ok(profile.to_string())
}
