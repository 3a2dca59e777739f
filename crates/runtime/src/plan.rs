//! A container's process, decided: everything the runtime does, without a parser or a default left to apply.
//!
//! A plan is compiled from an OCI runtime specification ([`Plan::compile`]) by whoever has memory to spare (the engine, or
//! `corten runtime`), travels in postcard, and is carried out by the monitor.

use serde::{Deserialize, Serialize};

/// The whole container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The first process.
    pub process: Process,
}

/// One process in a container: the first, or an exec.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; the program is looked up in the container's PATH.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Working directory inside the container, absolute; created when missing.
    pub cwd: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups; the caller puts the primary group in (CVE-2022-36109).
    pub additional_gids: Vec<u32>,
    /// Capability sets as bit masks: bounding.
    pub bounding: u64,
    /// Effective.
    pub effective: u64,
    /// Permitted.
    pub permitted: u64,
    /// Ambient (and inheritable).
    pub ambient: u64,
    /// Set no_new_privs.
    pub no_new_privileges: bool,
    /// A compiled seccomp filter: an array of `struct sock_filter` as bytes; empty: unconfined.
    pub seccomp: Vec<u8>,
    /// (RLIMIT_*, soft, hard).
    pub rlimits: Vec<(u32, u64, u64)>,
    /// oom_score_adj, if it is to be changed.
    pub oom_score_adj: Option<i32>,
    /// A pseudo-terminal is the process's controlling terminal.
    pub terminal: bool,
}
