//! A container's process, decided: everything the runtime does, without a parser or a default left to apply.
//!
//! A plan is compiled from an OCI runtime specification ([`Plan::compile`]) by whoever has memory to spare (the engine, or
//! `corten runtime`), travels in postcard, and is carried out by the monitor.

mod compile;
mod limits;
mod options;

use seccomp::Filter;
use serde::{Deserialize, Serialize};

pub use limits::{DeviceRule, Limits};

/// The whole container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The container's id: names its session keyring.
    pub id: String,
    /// The first process.
    pub process: Process,
    /// Namespaces that are not the runtime's own.
    pub namespaces: Vec<(NamespaceKind, Namespace)>,
    /// Where the root file system comes from.
    pub rootfs: Rootfs,
    /// Nothing may be written to the root file system.
    pub read_only: bool,
    /// Propagation of the root mount (MS_*), 0: private.
    pub propagation: u64,
    /// Mounts, in order.
    pub mounts: Vec<Mount>,
    /// Device nodes, the default ones included.
    pub devices: Vec<Device>,
    /// Symbolic links in `/dev`: name and target.
    pub links: Vec<(String, String)>,
    /// Paths made unreadable.
    pub masked_paths: Vec<String>,
    /// Paths made read-only.
    pub readonly_paths: Vec<String>,
    /// Kernel parameters: path below `/proc`, value.
    pub sysctls: Vec<(String, String)>,
    /// Host name, when it is to be set.
    pub hostname: Option<String>,
    /// Domain name, when it is to be set.
    pub domainname: Option<String>,
    /// Control group; none: the caller's.
    pub cgroup: Option<Cgroup>,
    /// The first process is our own init, which starts the program.
    pub init: bool,
    /// The first process is killed when its parent (the monitor) ends.
    pub die_with_parent: bool,
}

/// One process in a container: the first, or an exec.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; the program is looked up in the container's PATH.
    pub args: Vec<String>,
    /// `NAME=value`; HOME is added from the container's passwd when missing.
    pub env: Vec<String>,
    /// Working directory inside the container, absolute; created when missing (not for an exec).
    pub cwd: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups; the runtime adds the primary group when it is missing (CVE-2022-36109).
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
    /// A compiled seccomp filter.
    pub seccomp: Filter,
    /// (RLIMIT_*, soft, hard).
    pub rlimits: Vec<(u32, u64, u64)>,
    /// oom_score_adj, if it is to be changed.
    pub oom_score_adj: Option<i32>,
    /// A pseudo-terminal is the process's controlling terminal.
    pub terminal: bool,
    /// File mode creation mask; none: 022.
    pub umask: Option<u32>,
    /// AppArmor profile; empty: none.
    pub apparmor_profile: String,
}

/// What a namespace isolates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamespaceKind {
    /// Mounts.
    Mount,
    /// Process ids.
    Pid,
    /// Network.
    Network,
    /// System V and POSIX message queues, shared memory.
    Ipc,
    /// Host and domain name.
    Uts,
    /// View of the control groups.
    Cgroup,
    /// Clocks.
    Time,
}

/// Which one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Namespace {
    /// A new one.
    New,
    /// The one of this file, such as `/proc/42/ns/ipc`.
    Path(String),
    /// The one handed over as a descriptor ([`crate::Fds`]; network only).
    Inherited,
}

/// Where the root file system comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rootfs {
    /// A detached mount handed over as a descriptor.
    #[default]
    Inherited,
    /// A directory of the host, absolute.
    Path(String),
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, absolute, inside the container.
    pub destination: String,
    /// What.
    pub source: Source,
    /// Attributes to set and to clear (MOUNT_ATTR_*).
    pub attributes: (u64, u64),
    /// The same, of the whole tree.
    pub recursive_attributes: (u64, u64),
    /// Propagation (MS_*), 0: private; and whether of the whole tree.
    pub propagation: (u64, bool),
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A file system of its own.
    Filesystem {
        /// Its type.
        kind: String,
        /// Its device, or any name.
        device: String,
        /// `key` and value, or a flag.
        options: Vec<(String, Option<String>)>,
    },
    /// A directory or file of the host.
    Bind {
        /// Absolute path.
        path: String,
        /// With all mounts below it.
        recursive: bool,
    },
    /// The control groups as the container is to see them.
    Cgroup,
}

/// One device node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Absolute path inside the container.
    pub path: String,
    /// `c`, `b` or `p`.
    pub kind: char,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A container's control group, in every hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// Path in each hierarchy, such as `/corten/ID`.
    pub path: String,
    /// v1 hierarchies: controllers and mount point.
    pub v1: Vec<(Vec<String>, String)>,
    /// Mount point of cgroup2.
    pub v2: Option<String>,
    /// What is written.
    pub limits: Limits,
}

/// What a specification does not say.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// The container's id.
    pub id: String,
    /// Directory that relative paths are below; empty: relative paths are refused.
    pub bundle: String,
    /// The root file system is handed over as a detached mount.
    pub rootfs_fd: bool,
    /// The network namespace is handed over as a descriptor.
    pub netns_fd: bool,
    /// A compiled seccomp filter, instead of compiling the specification's.
    pub seccomp: Option<Filter>,
    /// Run our own init as the first process.
    pub init: bool,
    /// Kill the container when the process that creates it ends.
    pub die_with_parent: bool,
}
