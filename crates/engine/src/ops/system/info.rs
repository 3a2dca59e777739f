//! How the engine stands.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::Engine;

/// Containers by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub all: usize,
    /// Running.
    pub running: usize,
    /// Paused.
    pub paused: usize,
    /// Neither.
    pub stopped: usize,
}

/// What the host's control groups can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupFacts {
    /// `1` or `2`.
    pub version: u8,
    /// Limits on memory.
    pub memory: bool,
    /// Limits on memory and swap.
    pub swap: bool,
    /// Quota of CPU time.
    pub cpu_quota: bool,
    /// Weight of CPU time.
    pub cpu_shares: bool,
    /// Sets of CPUs.
    pub cpuset: bool,
    /// Limits on processes.
    pub pids: bool,
    /// The out-of-memory killer can be disabled.
    pub oom_kill_disable: bool,
}

/// How the engine stands.
#[derive(Clone, Debug)]
pub struct Info {
    /// Stable id of this engine.
    pub id: String,
    /// Containers.
    pub containers: Counts,
    /// Number of images.
    pub images: usize,
    /// Data root.
    pub root: PathBuf,
    /// The host's name.
    pub hostname: String,
    /// The kernel's version.
    pub kernel: String,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub operating_system: String,
    /// `12`.
    pub os_version: String,
    /// Of the kernel's naming: `x86_64`.
    pub machine: &'static str,
    /// CPUs.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Control groups.
    pub cgroup: CgroupFacts,
    /// Packets are forwarded.
    pub ipv4_forwarding: bool,
    /// What the host cannot do, and what was found damaged.
    pub warnings: Vec<String>,
    /// When the engine was opened.
    pub started_at: SystemTime,
    /// The version.
    pub version: String,
    /// Open files of this process.
    pub fds: usize,
    /// Who listens to events.
    pub listeners: usize,
    /// The bridge's name.
    pub bridge: String,
}

/// How the engine stands.
pub fn info(engine: &Arc<Engine>) -> Info {
    todo!()
}
