//! Text rules: headers, lengths, unsafe code, words, module borders. Looks at the files that git tracks or would track.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::layers::OPEN_MODULES;
use crate::shell;

const SOFT: usize = 500;
const HARD: usize = 800;
/// Lines of a file that may stay above the soft limit, with the reason: a ratchet that only shrinks.
const LONG_FILES: &str = "xtask/src/long_files.txt";

/// Hosts of public registries, and traces of a workplace: the repository speaks of the product alone. Split, so that
/// this file does not find itself.
const WORDS: &[&str] = &[
    concat!("registry-1.", "docker.io"),
    concat!("auth.", "docker.io"),
    concat!("hub.", "docker.com"),
    concat!("ghcr", ".io"),
    concat!("quay", ".io"),
    concat!("gcr", ".io"),
    concat!("registry.", "k8s.io"),
    concat!("public.", "ecr.aws"),
    concat!("mcr.", "microsoft.com"),
    concat!("/wo", "rk/"),
];

/// Files that must be there.
const PRESENT: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "SPECIFICATION.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "deny.toml",
];

pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for name in PRESENT {
        if !root.join(name).exists() {
            findings.push(format!("{name}: is missing"));
        }
    }
    if fs::read_to_string(root.join("CHANGELOG.md"))
        .is_ok_and(|text| !text.contains("## [Unreleased]"))
    {
        findings.push("CHANGELOG.md: has no section [Unreleased]".to_owned());
    }
    let list = fs::read_to_string(root.join(LONG_FILES)).context("read the list of long files")?;
    let long = long_files(&list);
    for name in tracked()? {
        // Deleted in the working tree, or no text.
        let Ok(text) = fs::read_to_string(root.join(&name)) else {
            continue;
        };
        findings.extend(
            WORDS
                .iter()
                .filter(|word| text.contains(*word))
                .map(|word| format!("{name}: contains {word:?}")),
        );
        if Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "rs")
        {
            findings.extend(check_source(&name, &text, long.get(name.as_str()).copied()));
        }
    }
    Ok(findings)
}

fn tracked() -> Result<Vec<String>> {
    let root = shell::root().to_string_lossy();
    let list = shell::quiet(
        "git",
        &[
            "-C",
            &root,
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
    )?;
    Ok(list.lines().map(str::to_owned).collect())
}

/// Lines `limit path reason`.
fn long_files(list: &str) -> BTreeMap<&str, usize> {
    list.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (limit, path) = (words.next()?.parse().ok()?, words.next()?);
            words.next().map(|_reason| (path, limit))
        })
        .collect()
}

/// The rules for one Rust file.
pub(super) fn check_source(name: &str, text: &str, long: Option<usize>) -> Vec<String> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(format!("{name}: does not open with //!"));
    }
    let lines = text.lines().count();
    // Tests and tables read from top to bottom: for them only the hard limit holds.
    let soft = if is_test(name) { HARD } else { SOFT };
    match long {
        Some(limit) if lines > limit.min(HARD) => {
            findings.push(format!(
                "{name}: {lines} lines, and may have {}",
                limit.min(HARD)
            ));
        }
        Some(limit) if lines + 50 < limit => {
            findings.push(format!(
                "{name}: {lines} lines: lower its limit of {limit} in {LONG_FILES}"
            ));
        }
        None if lines > soft => {
            findings.push(format!("{name}: {lines} lines, more than {soft}: split it, or give a reason in {LONG_FILES}"));
        }
        _ => {}
    }
    if !name.starts_with("crates/sys/") && text.lines().any(is_unsafe) {
        findings.push(format!("{name}: unsafe code outside crates/sys"));
    }
    findings.extend(check_borders(name, text));
    findings
}

fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs") || name.contains("/tests/")
}

fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]
        .iter()
        .any(|words| code.contains(words))
        && !code.contains('"')
}

/// Imports of a crate that opens only some of its modules to the importer.
fn check_borders(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (importer, imported, open) in OPEN_MODULES {
        if !name.starts_with(&format!("crates/{importer}/src/")) || is_test(name) {
            continue;
        }
        let prefix = format!("{imported}::");
        for line in text
            .lines()
            .map(str::trim_start)
            .filter(|line| !line.starts_with("//"))
        {
            let Some((before, after)) = line.split_once(&prefix) else {
                continue;
            };
            let whole_word =
                !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':'));
            if whole_word
                && !after.starts_with('{')
                && !open.iter().any(|module| after.starts_with(module))
            {
                findings.push(format!(
                    "{name}: {importer} may see only {} of {imported}",
                    open.join(" and ")
                ));
            }
        }
    }
    findings.dedup();
    findings
}
