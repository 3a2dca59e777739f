//! How the engine stands.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::Engine;
use crate::container::State;
use crate::host::Host;

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
    /// How registries are reached.
    pub registries: image::remote::Options,
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
    let host = &engine.host;
    let cgroup = control_groups(host);
    let ipv4_forwarding = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward")
        .is_ok_and(|value| value.trim() == "1");
    let mut warnings: Vec<String> = engine
        .warnings
        .iter()
        .map(|warning| format!("WARNING: {warning}"))
        .collect();
    if !ipv4_forwarding {
        warnings.push("WARNING: IPv4 forwarding is disabled".to_owned());
    }
    Info {
        id: engine.id.clone(),
        containers: count(engine),
        images: engine.images.list().len(),
        registries: engine.config.registries.clone(),
        root: engine.config.data_root.clone(),
        hostname: host.hostname.clone(),
        kernel: host.kernel.clone(),
        operating_system: host.operating_system.clone(),
        os_version: host.os_version.clone(),
        machine: std::env::consts::ARCH,
        cpus: host.cpus,
        memory: host.memory,
        cgroup,
        ipv4_forwarding,
        warnings,
        started_at: engine.opened_at,
        version: engine.config.version.clone(),
        fds: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        listeners: engine.events.listeners(),
        bridge: engine.config.bridge.clone(),
    }
}

fn count(engine: &Engine) -> Counts {
    let mut counts = Counts::default();
    for container in engine.containers.all() {
        counts.all += 1;
        match container.state {
            State::Running(_) => counts.running += 1,
            State::Paused(_) => counts.paused += 1,
            _ => counts.stopped += 1,
        }
    }
    counts
}

fn control_groups(host: &Host) -> CgroupFacts {
    let memory = host.controls("memory");
    let cpu = host.controls("cpu");
    let version = host.cgroup_version();
    CgroupFacts {
        version,
        memory,
        // v1 shows the file only when swap is accounted for; v2 always does.
        swap: memory
            && (version == 2
                || host
                    .group_dirs("/")
                    .iter()
                    .any(|(dir, _)| dir.join("memory.memsw.limit_in_bytes").exists())),
        cpu_quota: cpu,
        cpu_shares: cpu,
        cpuset: host.controls("cpuset"),
        pids: host.controls("pids"),
        oom_kill_disable: memory && version == 1,
    }
}

/// What this host cannot do, in dockerd's words where it has them.
pub(crate) fn lacking(host: &Host) -> Vec<String> {
    let cgroup = control_groups(host);
    let may_raise =
        sys::caps::by_name("CAP_SYS_RESOURCE").is_some_and(|bit| host.capabilities & bit != 0);
    let facts = [
        (cgroup.memory, "No memory limit support"),
        (cgroup.swap, "No swap limit support"),
        (cgroup.cpu_quota, "No cpu cfs quota support"),
        (cgroup.cpu_shares, "No cpu shares support"),
        (cgroup.cpuset, "No cpuset support"),
        (cgroup.pids, "No pids limit support"),
        (
            may_raise,
            "No CAP_SYS_RESOURCE: ulimits above the daemon's own are cut, oom_score_adj cannot be lowered",
        ),
    ];
    facts
        .iter()
        .filter(|(there, _)| !there)
        .map(|(_, what)| (*what).to_owned())
        .collect()
}
