//! A container as an OCI runtime specification: (record, identity, host) in, specification out. Pure.
//!
//! The result is what Docker would hand to its runtime; `tests` holds it against Docker's values.

mod caps;
mod devices;
mod mounts;
mod resources;

use oci::runtime::{ConsoleSize, Linux, Namespace, Process, Rlimit, Root, Spec, User};

pub use caps::{check as check_capabilities, mask as capability_mask};
pub(crate) use mounts::clean;

pub use devices::{Granted, host as host_devices, resolve as resolve_devices};

use crate::container::merge::environment;
use crate::container::record::{Paths, Record};
use crate::container::spec::{CgroupNamespace, NetworkMode, defaults};
use crate::host::Host;
use crate::users::Identity;

/// Program path that `inspect` and the process list show for our init.
pub const INIT: &str = "/sbin/docker-init";

/// All that a specification depends on.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The container.
    pub record: &'a Record,
    /// Where its hostname, hosts and resolv.conf are: with another container's network, the other's.
    pub etc: &'a Paths,
    /// Who its process is.
    pub identity: &'a Identity,
    /// Variables that tell of links.
    pub linked: &'a [String],
    /// The host.
    pub host: &'a Host,
    /// The control group below which containers live.
    pub cgroup_parent: &'a str,
    /// Devices of the host that it gets.
    pub devices: Vec<Granted>,
}

/// The specification.
pub fn specification(facts: &Facts<'_>) -> Spec {
    let spec = &facts.record.spec;
    let own_uts = !spec.host_uts;
    Spec {
        oci_version: "1.2.0".to_owned(),
        process: Some(process(facts)),
        root: Some(Root {
            path: "/rootfs".to_owned(),
            readonly: spec.read_only,
        }),
        hostname: if own_uts {
            facts.record.effective.hostname.clone()
        } else {
            String::new()
        },
        domainname: if own_uts {
            spec.domainname.clone()
        } else {
            String::new()
        },
        mounts: mounts::all(facts),
        linux: Some(linux(facts)),
        ..Spec::default()
    }
}

fn process(facts: &Facts<'_>) -> Process {
    let Record {
        spec, effective, ..
    } = facts.record;
    let identity = facts.identity;
    let mut env = environment(effective, spec.tty, facts.linked, &[]);
    set_home(&mut env, identity);
    Process {
        terminal: spec.tty,
        console_size: spec
            .console_size
            .map(|(height, width)| ConsoleSize { height, width }),
        user: User {
            uid: identity.uid,
            gid: identity.gid,
            umask: None,
            additional_gids: identity.groups.clone(),
        },
        args: effective.args(),
        env,
        cwd: if effective.working_dir.is_empty() {
            "/".to_owned()
        } else {
            effective.working_dir.clone()
        },
        capabilities: Some(caps::sets(caps::mask(spec) & facts.host.capabilities)),
        rlimits: spec.resources.ulimits.iter().map(rlimit).collect(),
        no_new_privileges: spec.security.no_new_privileges,
        oom_score_adj: Some(spec.oom_score_adj),
        ..Process::default()
    }
}

/// HOME of the user's entry, unless somebody has set it.
pub fn set_home(env: &mut Vec<String>, identity: &Identity) {
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        let home = if identity.home.is_empty() {
            "/"
        } else {
            &identity.home
        };
        env.push(format!("HOME={home}"));
    }
}

fn rlimit(limit: &crate::container::spec::Ulimit) -> Rlimit {
    // -1 is infinite: all bits set, as the kernel has it.
    let value = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    Rlimit {
        kind: format!("RLIMIT_{}", limit.name.to_uppercase()),
        soft: value(limit.soft),
        hard: value(limit.hard),
    }
}

fn linux(facts: &Facts<'_>) -> Linux {
    let spec = &facts.record.spec;
    let list = |own: &Option<Vec<String>>, default: Vec<String>| {
        own.clone()
            .unwrap_or(if spec.privileged || spec.security.unmasked_paths {
                Vec::new()
            } else {
                default
            })
    };
    let mut masked: Vec<String> = defaults::MASKED_PATHS.map(str::to_owned).to_vec();
    masked.extend(facts.host.thermal_throttle.iter().cloned());
    Linux {
        namespaces: namespaces(facts),
        devices: facts
            .devices
            .iter()
            .map(|granted| granted.device.clone())
            .collect(),
        cgroups_path: format!("{}/{}", facts.cgroup_parent, facts.record.id),
        resources: Some(resources::all(facts)),
        sysctl: spec.sysctls.clone(),
        masked_paths: list(&spec.masked_paths, masked),
        readonly_paths: list(
            &spec.readonly_paths,
            defaults::READONLY_PATHS.map(str::to_owned).to_vec(),
        ),
        ..Linux::default()
    }
}

fn namespaces(facts: &Facts<'_>) -> Vec<Namespace> {
    let spec = &facts.record.spec;
    let cgroup = match spec.cgroup_namespace {
        Some(choice) => choice == CgroupNamespace::Private,
        None => facts.host.cgroup_version() == 2,
    };
    let wanted = [
        ("mount", true),
        ("network", spec.network != NetworkMode::Host),
        ("uts", !spec.host_uts),
        ("pid", !spec.host_pid),
        ("ipc", !spec.host_ipc),
        ("cgroup", cgroup),
    ];
    let made = wanted.into_iter().filter(|(_, wanted)| *wanted);
    made.map(|(kind, _)| Namespace {
        kind: kind.to_owned(),
        path: String::new(),
    })
    .collect()
}

#[cfg(test)]
mod tests;
