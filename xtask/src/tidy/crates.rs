//! The table of layers against the manifests.

use std::collections::BTreeSet;

use super::metadata::{Metadata, Package};
use crate::layers::{LAYERS, WRAPPED};

pub(super) fn check(metadata: &Metadata) -> Vec<String> {
    let ours: BTreeSet<&str> = metadata
        .ours()
        .map(|package| package.name.as_str())
        .collect();
    let mut findings = Vec::new();
    for package in metadata.ours() {
        findings.extend(check_package(metadata, package, &ours));
    }
    for layer in LAYERS {
        if !ours.contains(layer.name) {
            findings.push(format!("layers: {} has a row and is no crate", layer.name));
        }
    }
    findings
}

fn check_package(metadata: &Metadata, package: &Package, ours: &BTreeSet<&str>) -> Vec<String> {
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == package.name) else {
        return vec![format!(
            "layers: {} has no row in xtask/src/layers.rs",
            package.name
        )];
    };
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        let (name, dev) = (
            dependency.name.as_str(),
            dependency.kind.as_deref() == Some("dev"),
        );
        if ours.contains(name) {
            // Tests may look down from the side, never at HTTP's types, and all may use the test kit.
            let allowed = layer.may_import.contains(&name) || (dev && name != "api");
            if !allowed {
                findings.push(format!("layers: {} must not import {name}", package.name));
            }
        } else if let Some((_, wrappers)) = WRAPPED.iter().find(|(wrapped, _)| *wrapped == name)
            && !wrappers.contains(&package.name.as_str())
            && (!dev || matches!(name, "libc" | "nix" | "rustix"))
        {
            findings.push(format!(
                "layers: {} must not use {name}: it is for {}",
                package.name,
                wrappers.join(", ")
            ));
        }
    }
    let below = metadata.below(package);
    for never in layer.never {
        if below.contains(never) {
            findings.push(format!(
                "layers: {} must not have {never} anywhere below it",
                package.name
            ));
        }
    }
    findings
}
