//! Who may import whom: the one table of the project's layers, compared with `cargo metadata` by tidy.
//!
//! ```text
//! edges      cli -> registry    client    daemon
//! domain     engine
//! stores     image -> {registry, content, snapshots}    network -> netd
//! process    monitor -> runtime    netd
//! ground     store -> sys -> stdx    oci -> stdx    seccomp, api -> nothing
//! ```
//!
//! An arrow goes down only. Dev-dependencies are free, but for `api` and the kernel's crates.

/// A crate of ours and what it may import.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) name: &'static str,
    pub(crate) may_import: &'static [&'static str],
    /// Crates that must not be anywhere below it.
    pub(crate) never: &'static [&'static str],
}

/// Crates that start threads: poison to what forks or stays resident beside every container.
const THREADS: &[&str] = &["hyper", "rayon", "rustls", "tokio"];
/// The Engine API and HTTP: not the engine's business.
const HTTP: &[&str] = &["api", "client", "daemon", "http", "hyper", "hyper-util"];
/// The same for those above the registry's client, which speaks HTTP to others: [`WRAPPED`] says who may name its types.
const ENGINE_API: &[&str] = &["api", "client", "daemon"];

const fn layer(
    name: &'static str,
    may_import: &'static [&'static str],
    never: &'static [&'static str],
) -> Layer {
    Layer {
        name,
        may_import,
        never,
    }
}

/// The table. A crate without a row is an error, so that a new one is placed before it grows.
pub(crate) const LAYERS: &[Layer] = &[
    // The one binary, and what tests and tools may see.
    layer(
        "corten",
        &["cli", "daemon", "monitor", "netd", "runtime", "stdx", "sys"],
        &[],
    ),
    layer("bench", &["stdx", "sys", "testkit"], &[]),
    layer("e2e", &["testkit"], &[]),
    layer(
        "fuzz",
        &["netd", "oci", "registry", "snapshots", "sys"],
        &[],
    ),
    layer("testkit", &[], &[]),
    layer("xtask", &["testkit"], &[]),
    // Edges.
    layer(
        "cli",
        &["api", "client", "oci", "registry", "stdx", "store", "sys"],
        &["engine", "image", "network", "daemon"],
    ),
    layer("client", &["api", "stdx", "sys"], &["engine"]),
    layer(
        "daemon",
        &[
            "api", "engine", "image", "network", "oci", "stdx", "store", "sys",
        ],
        &["cli"],
    ),
    // Domain.
    layer(
        "engine",
        &[
            "content",
            "image",
            "monitor",
            "network",
            "oci",
            "runtime",
            "seccomp",
            "snapshots",
            "stdx",
            "store",
            "sys",
        ],
        ENGINE_API,
    ),
    // Stores.
    layer(
        "image",
        &[
            "content",
            "oci",
            "registry",
            "snapshots",
            "stdx",
            "store",
            "sys",
        ],
        ENGINE_API,
    ),
    layer(
        "registry",
        &["oci", "stdx", "sys"],
        &["api", "client", "content", "daemon", "image"],
    ),
    layer("snapshots", &["oci", "stdx", "store", "sys"], HTTP),
    layer("content", &["oci", "stdx", "store", "sys"], HTTP),
    layer("network", &["netd", "stdx", "store", "sys"], HTTP),
    // Process: one thread each, so nothing that would start another.
    layer(
        "monitor",
        &["oci", "runtime", "stdx", "store", "sys"],
        THREADS,
    ),
    layer(
        "runtime",
        &["oci", "seccomp", "stdx", "store", "sys"],
        THREADS,
    ),
    layer("netd", &["stdx", "sys"], THREADS),
    // Ground.
    layer("store", &["stdx", "sys"], THREADS),
    layer("sys", &["stdx"], THREADS),
    layer("oci", &["stdx"], THREADS),
    layer("seccomp", &["oci", "stdx"], THREADS),
    layer("api", &[], THREADS),
    layer("stdx", &[], THREADS),
];

/// Third-party crates with few importers: the border that they stand for is a crate of ours.
pub(crate) const WRAPPED: &[(&str, &[&str])] = &[
    ("libc", &["sys"]),
    ("nix", &[]),
    ("rustix", &["sys"]),
    ("hyper", &["client", "daemon", "registry"]),
    ("hyper-util", &["client", "daemon", "registry"]),
    ("http", &["client", "daemon", "registry"]),
    ("rustls", &["registry"]),
    ("rustls-webpki", &["registry"]),
    ("tokio-rustls", &["registry"]),
    ("netlink-packet-core", &["network"]),
    ("netlink-packet-route", &["network"]),
    (
        "anyhow",
        &[
            "bench", "corten", "cli", "daemon", "e2e", "testkit", "xtask",
        ],
    ),
    (
        "tokio",
        &[
            "bench", "cli", "client", "daemon", "engine", "image", "registry", "testkit",
        ],
    ),
    ("ring", &["content", "image", "oci", "registry", "xtask"]),
];

/// Modules that a crate opens to others, where it opens only some: `crate::module`.
pub(crate) const OPEN_MODULES: &[(&str, &str, &[&str])] = &[
    // (importer, imported, its open modules)
    ("engine", "monitor", &["protocol", "logfile"]),
    ("engine", "runtime", &["plan"]),
    ("network", "netd", &["client", "protocol"]),
    ("fuzz", "netd", &["dns"]),
];
