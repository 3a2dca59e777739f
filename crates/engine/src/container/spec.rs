//! What was asked of a container, validated: the only form in which the engine knows a create request.
//!
//! Strings of the wire are parsed once, in `daemon::convert`; what is here is either acted on or does not exist. The
//! request as it came is kept beside it (`Record::request`) so that `inspect` gives back what was asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use network::Attachment;
use serde::{Deserialize, Serialize};

use super::Signal;

pub mod defaults;

/// A validated create request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// The image as the user named it.
    pub image: String,
    /// `None`: the image's; `Some([])` or `Some([""])`: none at all.
    pub entrypoint: Option<Vec<String>>,
    /// `None` or empty: the image's, unless the entrypoint is overridden.
    pub command: Option<Vec<String>>,
    /// `NAME=value` sets, `NAME` alone unsets the image's.
    pub env: Vec<String>,
    /// Labels, over the image's.
    pub labels: BTreeMap<String, String>,
    /// `user[:group]`, names or numbers; empty: the image's.
    pub user: String,
    /// Absolute; empty: the image's.
    pub working_dir: String,
    /// Empty: the first twelve digits of the id (with the host's network: the host's name).
    pub hostname: String,
    /// NIS domain name.
    pub domainname: String,
    /// A pseudo-terminal instead of pipes.
    pub tty: bool,
    /// Keep stdin open.
    pub open_stdin: bool,
    /// Close stdin when the first attached client has gone.
    pub stdin_once: bool,
    /// Streams to attach, as the client said; acted on by clients only.
    pub attach: AttachStreams,
    /// The signal that asks the container to stop; `None`: the image's, or TERM.
    pub stop_signal: Option<Signal>,
    /// Seconds between that signal and KILL; negative: wait forever; `None`: 10.
    pub stop_timeout: Option<i64>,
    /// Rows and columns of the terminal at start.
    pub console_size: Option<(u16, u16)>,
    /// Binds and tmpfs, in the order given.
    pub mounts: Vec<Mount>,
    /// The network it joins.
    pub network: NetworkMode,
    /// What is asked of its places on networks, by the network as it was named; more networks than that of `network`
    /// may be among them.
    pub endpoints: BTreeMap<String, network::Settings>,
    /// Ports to be published.
    pub ports: Vec<network::PortRequest>,
    /// Publish all exposed ports.
    pub publish_all: bool,
    /// Ports exposed beside the image's, `80/tcp`.
    pub exposed: Vec<String>,
    /// `container:alias`: names for containers of the default bridge.
    pub links: Vec<String>,
    /// `name:ip` lines for /etc/hosts.
    pub extra_hosts: Vec<String>,
    /// Contents of resolv.conf, if not the host's.
    pub dns: Dns,
    /// Limits and devices.
    pub resources: Resources,
    /// Capabilities over the default set.
    pub capabilities: Capabilities,
    /// All capabilities, all devices, no filter, no masks.
    pub privileged: bool,
    /// Seccomp, no-new-privileges, labels.
    pub security: Security,
    /// The root file system is read-only.
    pub read_only: bool,
    /// Run our init as process 1.
    pub init: bool,
    /// Additional groups, names or numbers.
    pub group_add: Vec<String>,
    /// Bytes of /dev/shm; `None`: 64 MiB.
    pub shm_size: Option<u64>,
    /// Adjusts the kernel's choice of whom to kill.
    pub oom_score_adj: i32,
    /// Remove the container when it ends.
    pub auto_remove: bool,
    /// Where the output goes.
    pub log: LogConfig,
    /// Replaces the list of masked paths.
    pub masked_paths: Option<Vec<String>>,
    /// Replaces the list of read-only paths.
    pub readonly_paths: Option<Vec<String>>,
    /// Namespaced kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Use the host's process ids.
    pub host_pid: bool,
    /// Use the host's IPC objects and /dev/shm.
    pub host_ipc: bool,
    /// Use the host's hostname namespace.
    pub host_uts: bool,
    /// The control group namespace; `None`: private on v2, the host's on v1.
    pub cgroup_namespace: Option<CgroupNamespace>,
}

/// Which streams a client asked for at creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachStreams {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// The network a container joins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// The default bridge, with outbound access.
    #[default]
    Bridge,
    /// The host's own.
    Host,
    /// Loopback alone.
    None,
    /// Another container's, by its name or id.
    Container(String),
    /// One that somebody made, by its name or id.
    Network(String),
}

impl NetworkMode {
    /// The network of this mode; another container's has none of its own.
    pub fn network(&self) -> Option<&str> {
        match self {
            Self::Bridge => Some("bridge"),
            Self::Host => Some("host"),
            Self::None => Some("none"),
            Self::Network(name) => Some(name),
            Self::Container(_) => None,
        }
    }
}

impl Spec {
    /// The networks a new container belongs to: that of its mode first.
    pub fn attachments(&self) -> Vec<Attachment> {
        let Some(first) = self.network.network() else {
            return Vec::new();
        };
        let others = self.endpoints.keys().map(String::as_str);
        // Who asks for other networks and for none in particular does not get the default one beside them.
        let alone = self.network != NetworkMode::Bridge
            || self.endpoints.is_empty()
            || self.endpoints.contains_key(first);
        alone
            .then_some(first)
            .into_iter()
            .chain(others.filter(|name| *name != first))
            .map(|name| Attachment {
                settings: self.endpoints.get(name).cloned().unwrap_or_default(),
                ..Attachment::to(name)
            })
            .collect()
    }
}

/// Whose control group tree the container sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupNamespace {
    /// Its own, as if it were the root.
    Private,
    /// The host's.
    Host,
}

/// Something mounted into the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mount {
    /// A file or directory of the host.
    Bind {
        /// Absolute, on the host.
        source: PathBuf,
        /// Absolute, in the container.
        target: String,
        /// No writing through it.
        read_only: bool,
        /// With `read_only`: nor through the mounts below the source. Containers of before this field have it off.
        #[serde(default)]
        recursive_read_only: bool,
        /// `-v` creates a missing source directory, `--mount` refuses.
        create_source: bool,
        /// Mounts below the source are not taken along.
        non_recursive: bool,
        /// How later mounts spread.
        propagation: Propagation,
    },
    /// Memory.
    Tmpfs {
        /// Absolute, in the container.
        target: String,
        /// Mount options, checked (`size=…`, `mode=…`, `ro`, `exec`, …).
        options: Vec<String>,
    },
}

impl Mount {
    /// Where it appears in the container.
    pub fn target(&self) -> &str {
        match self {
            Self::Bind { target, .. } | Self::Tmpfs { target, .. } => target,
        }
    }
}

/// Mount propagation of a bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// Docker's default: rprivate.
    #[default]
    RPrivate,
    /// private.
    Private,
    /// rslave.
    RSlave,
    /// slave.
    Slave,
    /// rshared.
    RShared,
    /// shared.
    Shared,
}

impl Propagation {
    /// The word that mount(8) and Docker use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RPrivate => "rprivate",
            Self::Private => "private",
            Self::RSlave => "rslave",
            Self::Slave => "slave",
            Self::RShared => "rshared",
            Self::Shared => "shared",
        }
    }
}

/// Name resolution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Name servers.
    pub servers: Vec<IpAddr>,
    /// Search domains.
    pub search: Vec<String>,
    /// `options` of resolv.conf.
    pub options: Vec<String>,
}

/// Limits and devices. `None` means no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory and swap; -1: no limit on swap; `None` with `memory`: twice that.
    pub memory_swap: Option<i64>,
    /// Soft limit in bytes.
    pub memory_reservation: Option<u64>,
    /// Kernel's eagerness to swap, 0 to 100.
    pub memory_swappiness: Option<u64>,
    /// Never kill for want of memory (v1 only).
    pub oom_kill_disable: bool,
    /// CPUs in billionths.
    pub nano_cpus: Option<u64>,
    /// Microseconds a period.
    pub cpu_quota: Option<i64>,
    /// The period in microseconds.
    pub cpu_period: Option<u64>,
    /// Relative weight, 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// CPUs allowed, `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes allowed.
    pub cpuset_mems: Option<String>,
    /// Processes; -1: no limit.
    pub pids_limit: Option<i64>,
    /// Resource limits of the first process.
    pub ulimits: Vec<Ulimit>,
    /// Devices of the host.
    pub devices: Vec<Device>,
    /// `c 1:3 rwm` lines, checked.
    pub device_cgroup_rules: Vec<DeviceRule>,
}

/// A resource limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Docker's name, `nofile`.
    pub name: String,
    /// Soft limit; -1: infinite.
    pub soft: i64,
    /// Hard limit; -1: infinite.
    pub hard: i64,
}

/// A device of the host, made available.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path on the host; a directory means all devices below it.
    pub host: PathBuf,
    /// Path in the container.
    pub container: String,
    /// Some of `rwm`.
    pub permissions: String,
}

/// A rule of the device control group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// `a`, `b` or `c`.
    pub kind: char,
    /// `None`: any.
    pub major: Option<i64>,
    /// `None`: any.
    pub minor: Option<i64>,
    /// Some of `rwm`.
    pub access: String,
}

/// Capabilities relative to the default set, by name without `CAP_`, upper case; `ALL` stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Added.
    pub add: Vec<String>,
    /// Dropped.
    pub drop: Vec<String>,
}

/// `--security-opt`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// System call filter.
    pub seccomp: Seccomp,
    /// Set no_new_privs.
    pub no_new_privileges: bool,
    /// Systempaths=unconfined: nothing masked, nothing read-only.
    pub unmasked_paths: bool,
}

/// Which system call filter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Seccomp {
    /// Docker's default profile.
    #[default]
    Default,
    /// No filter.
    Unconfined,
    /// A profile given by the user, JSON text.
    Profile(String),
}

/// Where the output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogConfig {
    /// Docker's json-file.
    JsonFile {
        /// Bytes a file; 0: unlimited.
        max_size: u64,
        /// Files kept.
        max_files: u32,
    },
    /// Nowhere.
    None,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self::JsonFile {
            max_size: defaults::LOG_MAX_SIZE,
            max_files: defaults::LOG_MAX_FILES,
        }
    }
}
