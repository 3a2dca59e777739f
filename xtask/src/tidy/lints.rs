//! Lint tables: every crate takes the workspace's, and `sys`, which needs its own, takes them all the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// What `sys` sets otherwise: it is the home of unsafe code, and is stricter about it.
const DIFFERENT: &[&str] = &[
    "unsafe_code",
    "undocumented_unsafe_blocks",
    "unsafe_op_in_unsafe_fn",
    "multiple_unsafe_ops_per_block",
];

pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let read =
        |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("read {path}"));
    let mut findings = compare(&read("Cargo.toml")?, &read("crates/sys/Cargo.toml")?);
    let mut manifests = vec![
        root.join("xtask/Cargo.toml"),
        root.join("bench/Cargo.toml"),
        root.join("tests/e2e/Cargo.toml"),
    ];
    for entry in fs::read_dir(root.join("crates"))? {
        let path = entry?.path();
        if !path.ends_with("sys") {
            manifests.push(path.join("Cargo.toml"));
        }
    }
    for manifest in manifests.iter().filter(|manifest| manifest.exists()) {
        if !fs::read_to_string(manifest)?.contains("[lints]\nworkspace = true") {
            findings.push(format!(
                "lints: {} does not take the workspace's",
                manifest.display()
            ));
        }
    }
    Ok(findings)
}

/// Compares `[workspace.lints.*]` with the `[lints.*]` of `sys`.
pub(super) fn compare(workspace: &str, sys: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for table in ["rust", "clippy"] {
        let wanted = entries(workspace, &format!("[workspace.lints.{table}]"));
        let found = entries(sys, &format!("[lints.{table}]"));
        for name in wanted.keys().chain(found.keys()) {
            if !DIFFERENT.contains(name) && wanted.get(name) != found.get(name) {
                findings.push(format!(
                    "lints: sys and the workspace differ in {table} {name}"
                ));
            }
        }
    }
    findings.dedup();
    findings
}

fn entries<'text>(manifest: &'text str, header: &str) -> BTreeMap<&'text str, &'text str> {
    manifest
        .lines()
        .skip_while(|line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split('#').next()?.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect()
}
