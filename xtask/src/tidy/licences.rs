//! Third-party crates: licence, source, a reason to be here, and the version from which known holes are mended.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::metadata::{Metadata, Package};

/// Licences that a static binary under Apache-2.0 may carry.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// The first version without a published hole that matters here.
const PATCHED: &[(&str, &str)] = &[
    ("bytes", "1.11.1"),
    ("h2", "0.4.16"),
    ("hickory-proto", "0.26.1"),
    ("lru", "0.18.2"),
    ("memmap2", "0.9.11"),
    ("rustls-webpki", "0.103.13"),
    ("tar", "0.4.45"),
    ("time", "0.3.47"),
];

/// Abandoned, or worse.
const BANNED: &[&str] = &[
    "async-std",
    "async-tar",
    "atty",
    "backoff",
    "bincode",
    "derivative",
    "gtmpl",
    "instant",
    "libyml",
    "number_prefix",
    "paste",
    "prctl",
    "proc-macro-error",
    "rustables",
    "rustls-pemfile",
    "serde_yaml",
    "serde_yml",
    "tokio-tar",
    "users",
    "xz2",
    "yaml-rust",
];

pub(super) fn check(metadata: &Metadata, root: &Path) -> Result<Vec<String>> {
    let reasons = reasons(&fs::read_to_string(root.join("deny.toml")).context("read deny.toml")?);
    let ours: BTreeSet<&str> = metadata
        .ours()
        .map(|package| package.name.as_str())
        .collect();
    let mut findings = Vec::new();
    for package in metadata
        .packages
        .iter()
        .filter(|package| !ours.contains(package.name.as_str()))
    {
        findings.extend(check_package(package));
    }
    let direct: BTreeSet<&str> = metadata
        .ours()
        .flat_map(|package| &package.dependencies)
        .map(|dependency| dependency.name.as_str())
        .filter(|name| !ours.contains(name))
        .collect();
    for name in direct.iter().filter(|name| !reasons.contains(**name)) {
        findings.push(format!("deny.toml: no line says why {name} is here"));
    }
    for name in reasons
        .iter()
        .filter(|name| !direct.contains(name.as_str()))
    {
        findings.push(format!("deny.toml: a reason for {name}, which nobody uses"));
    }
    Ok(findings)
}

/// The crates with a line `#   name: why` below `# Why each crate is here`.
fn reasons(deny: &str) -> BTreeSet<String> {
    deny.lines()
        .filter_map(|line| line.strip_prefix("#   ")?.split_once(": "))
        .filter(|(_, why)| why.len() > 10)
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn check_package(package: &Package) -> Vec<String> {
    let mut findings = Vec::new();
    let name = format!("{} {}", package.name, package.version);
    match &package.license {
        Some(licence) if allowed(licence) => {}
        Some(licence) => findings.push(format!("licences: {name} is under {licence}")),
        None => findings.push(format!("licences: {name} names none")),
    }
    if !package
        .source
        .as_deref()
        .is_some_and(|source| source.starts_with("registry+") && source.contains("crates.io"))
    {
        findings.push(format!(
            "sources: {name} does not come from the crates registry"
        ));
    }
    if BANNED.contains(&package.name.as_str()) {
        findings.push(format!("crates: {name} is abandoned or worse"));
    }
    if let Some((_, least)) = PATCHED.iter().find(|(patched, _)| *patched == package.name)
        && version(&package.version) < version(least)
    {
        findings.push(format!(
            "crates: {name} is older than {least}, which mends a hole"
        ));
    }
    findings
}

/// Whether one of the alternatives of an SPDX expression is allowed in all its parts.
pub(super) fn allowed(expression: &str) -> bool {
    let expression = expression.replace(['(', ')'], " ").replace('/', " OR ");
    // `AND` binds tighter, but `(A OR B) AND C` lost its brackets above: so each operand of AND needs an allowed word.
    expression.split(" AND ").all(|part| {
        part.split(" OR ")
            .any(|licence| ALLOWED.contains(&licence.trim()))
    })
}

/// The three numbers of a version; what stands behind them does not order here.
pub(super) fn version(text: &str) -> [u64; 3] {
    let mut parts = text
        .split(['.', '-', '+'])
        .map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}
