//! `cargo metadata`, as far as tidy reads it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell;

/// The workspace and everything it is built from.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

/// A package at a version.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    pub(super) source: Option<String>,
    pub(super) dependencies: Vec<Dependency>,
}

/// A line of a package's manifest.
#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// `None` for a normal one, `dev` or `build` otherwise.
    pub(super) kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl Metadata {
    /// Asks cargo, for the platform that we ship to: a crate that is only built elsewhere is not in the tree.
    pub(super) fn read() -> Result<Self> {
        let json = shell::output(
            shell::cargo_command()
                .args([
                    "metadata",
                    "--format-version=1",
                    "--locked",
                    "--filter-platform",
                ])
                .arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH)),
        )?;
        serde_json::from_slice(&json).context("parse cargo metadata")
    }

    /// The packages of this workspace.
    pub(super) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The names of everything below a package, dev-dependencies apart.
    pub(super) fn below(&self, package: &Package) -> BTreeSet<&str> {
        let nodes: BTreeMap<&str, &Node> = self
            .resolve
            .nodes
            .iter()
            .map(|node| (node.id.as_str(), node))
            .collect();
        let names: BTreeMap<&str, &str> = self
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package.name.as_str()))
            .collect();
        let mut found = BTreeSet::new();
        let mut pending = vec![package.id.as_str()];
        while let Some(id) = pending.pop() {
            let edges = nodes.get(id).map_or(&[][..], |node| &node.deps);
            for edge in edges
                .iter()
                .filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none()))
            {
                let name = names
                    .get(edge.pkg.as_str())
                    .copied()
                    .unwrap_or(edge.pkg.as_str());
                if found.insert(name) {
                    pending.push(&edge.pkg);
                }
            }
        }
        found
    }
}
