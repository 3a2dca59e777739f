//! Capabilities and `--security-opt`.

use api::host_config::HostConfig;
use engine::container::spec::{Capabilities, Seccomp, Security};

use super::{invalid, refused};
use crate::error::{Error, Result};

/// `CapAdd` and `CapDrop`, normalised.
pub fn capabilities(host: &HostConfig) -> Result<Capabilities> {
    Ok(Capabilities {
        add: names("CapAdd", host.cap_add.as_deref())?,
        drop: names("CapDrop", host.cap_drop.as_deref())?,
    })
}

fn names(field: &str, list: Option<&[String]>) -> Result<Vec<String>> {
    let name = |text: &String| {
        let upper = text.trim().to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if bare == "ALL" || sys::caps::by_name(bare).is_some() {
            return Ok(bare.to_owned());
        }
        let full = if upper.starts_with("CAP_") {
            upper.clone()
        } else {
            format!("CAP_{upper}")
        };
        Err(Error::Invalid(format!(
            "invalid {field}: unknown capability: \"{full}\""
        )))
    };
    list.unwrap_or_default().iter().map(name).collect()
}

/// `SecurityOpt`.
pub fn options(host: &HostConfig) -> Result<Security> {
    let mut security = Security::default();
    for option in host.security_opt.iter().flatten() {
        if option == "no-new-privileges" {
            security.no_new_privileges = true;
            continue;
        }
        // `label=disable` was once written without its name; there are no labels to disable.
        if option == "disable" {
            continue;
        }
        let Some((name, value)) = option.split_once('=').or_else(|| option.split_once(':')) else {
            return invalid(format!("invalid --security-opt 1: \"{option}\""));
        };
        match (name, value) {
            ("no-new-privileges", value) => security.no_new_privileges = boolean(option, value)?,
            ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
            ("seccomp", "builtin") => security.seccomp = Seccomp::Default,
            ("seccomp", profile) => security.seccomp = seccomp(profile)?,
            ("apparmor", "unconfined") | ("label", "disable") => {}
            ("systempaths", "unconfined") => security.unmasked_paths = true,
            ("apparmor" | "label" | "writable-cgroups", _) => {
                return refused(format!("security option {option}"));
            }
            _ => return invalid(format!("invalid --security-opt 2: \"{option}\"")),
        }
    }
    // Both lists sent empty is how clients say systempaths=unconfined.
    if host.masked_paths.as_ref().is_some_and(Vec::is_empty)
        && host.readonly_paths.as_ref().is_some_and(Vec::is_empty)
    {
        security.unmasked_paths = true;
    }
    Ok(security)
}

fn seccomp(profile: &str) -> Result<Seccomp> {
    match serde_json::from_str::<serde_json::Value>(profile) {
        Ok(serde_json::Value::Object(_)) => Ok(Seccomp::Profile(profile.to_owned())),
        Ok(_) => invalid("opening seccomp profile failed: the profile is not an object"),
        Err(error) => invalid(format!("decoding seccomp profile failed: {error}")),
    }
}

fn boolean(option: &str, value: &str) -> Result<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => invalid(format!("invalid --security-opt 2: \"{option}\"")),
    }
}

#[cfg(test)]
mod tests;
