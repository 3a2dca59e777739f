//! From a specification to a plan: every check that needs no kernel, every default.

use oci::runtime::{self as spec, Spec};
use seccomp::Filter;
use sys::cgroup::Layout;

use super::options::{self, Options};
use super::{
    Cgroup, Device, Extras, Limits, Mount, Namespace, NamespaceKind, Plan, Process, Rootfs, Source,
};
use crate::error::{Error, Result};

/// Files of /proc that may be mounted over (as runc's list); everything else there may not.
const PROC_TARGETS: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// The most that a specification may ask of one list.
const MAX_MOUNTS: usize = 4096;

impl Plan {
    /// Decides what a specification means on this host.
    pub fn compile(spec: &Spec, extras: Extras) -> Result<Self> {
        let layout = Layout::detect().map_err(Error::io("look for control groups"))?;
        Self::compile_for(spec, extras, &layout)
    }

    /// Decides what a specification means on a host with these control groups (detected once, kept by the caller).
    pub fn compile_for(spec: &Spec, extras: Extras, layout: &Layout) -> Result<Self> {
        let invalid = |what: &str| Error::Invalid(what.to_owned());
        let process = spec
            .process
            .as_ref()
            .ok_or_else(|| invalid("the specification has no process"))?;
        let root = spec
            .root
            .as_ref()
            .ok_or_else(|| invalid("the specification has no root"))?;
        let no_linux = spec::Linux::default();
        let linux = spec.linux.as_ref().unwrap_or(&no_linux);
        let namespaces = namespaces(linux, &extras)?;
        let is_new = |kind| namespaces.contains(&(kind, Namespace::New));
        if !is_new(NamespaceKind::Mount) {
            return Err(Error::Unsupported(
                "a container without a mount namespace of its own".to_owned(),
            ));
        }
        if (!spec.hostname.is_empty() || !spec.domainname.is_empty()) && !is_new(NamespaceKind::Uts)
        {
            return Err(invalid("a host name needs a uts namespace of its own"));
        }
        let mut compiled = Process::compile(process)?;
        compiled.seccomp = match extras.seccomp {
            Some(program) => program,
            None => filter(linux, process)?,
        };
        let mounts = mounts(spec, &extras.bundle)?;
        let dev = mounts.iter().any(|mount| {
            mount.destination == "/dev" && !matches!(mount.source, Source::Bind { .. })
        });
        Ok(Self {
            process: compiled,
            rootfs: if extras.rootfs_fd {
                Rootfs::Inherited
            } else {
                Rootfs::Path(below(&extras.bundle, &root.path)?)
            },
            read_only: root.readonly,
            propagation: match linux.rootfs_propagation.as_str() {
                "" => 0,
                name => {
                    options::parse_propagation(name)
                        .ok_or_else(|| {
                            Error::Invalid(format!("invalid rootfs propagation {name:?}"))
                        })?
                        .0
                }
            },
            mounts,
            devices: devices(linux, dev)?,
            links: if dev { default_links() } else { Vec::new() },
            masked_paths: absolute_all(&linux.masked_paths)?,
            readonly_paths: absolute_all(&linux.readonly_paths)?,
            sysctls: sysctls(linux, &namespaces)?,
            hostname: Some(spec.hostname.clone()).filter(|name| !name.is_empty()),
            domainname: Some(spec.domainname.clone()).filter(|name| !name.is_empty()),
            cgroup: cgroup(linux, layout)?,
            init: extras.init,
            die_with_parent: extras.die_with_parent,
            namespaces,
            id: extras.id,
        })
    }
}

impl Process {
    /// Decides what a specification's process means; its seccomp filter is the caller's to add.
    pub fn compile(process: &spec::Process) -> Result<Self> {
        if process.args.is_empty() {
            return Err(Error::Invalid("the process has no arguments".to_owned()));
        }
        if !process.cwd.starts_with('/') {
            return Err(Error::Invalid(format!(
                "the working directory {:?} is not absolute",
                process.cwd
            )));
        }
        let strings = process
            .args
            .iter()
            .chain(&process.env)
            .chain([&process.cwd]);
        if strings.into_iter().any(|string| string.contains('\0')) {
            return Err(Error::Invalid(
                "the process's strings contain a NUL".to_owned(),
            ));
        }
        // -1 means "leave it" to setresuid, and what is above is no id at all (CVE-2024-40635).
        if process.user.uid == u32::MAX || process.user.gid == u32::MAX {
            return Err(Error::Invalid("invalid user or group id".to_owned()));
        }
        if !process.selinux_label.is_empty() {
            return Err(Error::Unsupported("an SELinux label".to_owned()));
        }
        let no_caps = spec::Capabilities::default();
        let caps = process.capabilities.as_ref().unwrap_or(&no_caps);
        let mut groups = process.user.additional_gids.clone();
        if !groups.contains(&process.user.gid) {
            groups.insert(0, process.user.gid);
        }
        let mut rlimits = Vec::with_capacity(process.rlimits.len());
        for limit in &process.rlimits {
            let number = sys::rlimit::by_name(&limit.kind)
                .ok_or_else(|| Error::Invalid(format!("invalid rlimit type {:?}", limit.kind)))?;
            rlimits.push((number, limit.soft, limit.hard));
        }
        Ok(Self {
            args: process.args.clone(),
            env: process.env.clone(),
            cwd: process.cwd.clone(),
            uid: process.user.uid,
            gid: process.user.gid,
            additional_gids: groups,
            bounding: mask(&caps.bounding),
            effective: mask(&caps.effective),
            permitted: mask(&caps.permitted),
            ambient: mask(&caps.ambient) & mask(&caps.inheritable),
            no_new_privileges: process.no_new_privileges,
            seccomp: Filter::default(),
            rlimits,
            oom_score_adj: process.oom_score_adj,
            terminal: process.terminal,
            umask: process.user.umask,
            apparmor_profile: process.apparmor_profile.clone(),
        })
    }
}

/// Unknown capabilities are skipped, as the specification demands.
fn mask(names: &[String]) -> u64 {
    names
        .iter()
        .filter_map(|name| sys::caps::by_name(name))
        .fold(0, |mask, bit| mask | bit)
}

fn filter(linux: &spec::Linux, process: &spec::Process) -> Result<Filter> {
    let Some(profile) = &linux.seccomp else {
        return Ok(Filter::default());
    };
    let invalid = |error: &dyn std::error::Error| Error::Invalid(error.to_string());
    let json = serde_json::to_vec(profile).map_err(|error| invalid(&error))?;
    let profile = seccomp::Profile::parse(&json).map_err(|error| invalid(&error))?;
    let caps: Vec<&str> = process
        .capabilities
        .iter()
        .flat_map(|caps| caps.bounding.iter().map(String::as_str))
        .collect();
    let arch = if cfg!(target_arch = "aarch64") {
        seccomp::Arch::Aarch64
    } else {
        seccomp::Arch::X86_64
    };
    // The specification's format has no condition on the kernel's version.
    let context = seccomp::Context {
        caps: &caps,
        arch,
        kernel: (0, 0),
    };
    profile.compile(&context).map_err(|error| invalid(&error))
}

fn namespaces(linux: &spec::Linux, extras: &Extras) -> Result<Vec<(NamespaceKind, Namespace)>> {
    let mut namespaces: Vec<(NamespaceKind, Namespace)> = Vec::new();
    for namespace in &linux.namespaces {
        let kind = match namespace.kind.as_str() {
            "mount" => NamespaceKind::Mount,
            "pid" => NamespaceKind::Pid,
            "network" => NamespaceKind::Network,
            "ipc" => NamespaceKind::Ipc,
            "uts" => NamespaceKind::Uts,
            "cgroup" => NamespaceKind::Cgroup,
            "user" => return Err(Error::Unsupported("a user namespace".to_owned())),
            "time" => return Err(Error::Unsupported("a time namespace".to_owned())),
            other => return Err(Error::Invalid(format!("invalid namespace type {other:?}"))),
        };
        if namespaces.iter().any(|(known, _)| *known == kind) {
            return Err(Error::Invalid(format!(
                "namespace {} is named twice",
                namespace.kind
            )));
        }
        let which = if kind == NamespaceKind::Network && extras.netns_fd {
            Namespace::Inherited
        } else if namespace.path.is_empty() {
            Namespace::New
        } else {
            Namespace::Path(absolute(&namespace.path)?)
        };
        namespaces.push((kind, which));
    }
    Ok(namespaces)
}

fn mounts(spec: &Spec, bundle: &str) -> Result<Vec<Mount>> {
    if spec.mounts.len() > MAX_MOUNTS {
        return Err(Error::Invalid("too many mounts".to_owned()));
    }
    spec.mounts
        .iter()
        .map(|mount| compile_mount(mount, bundle))
        .collect()
}

fn compile_mount(mount: &spec::Mount, bundle: &str) -> Result<Mount> {
    let destination = clean(&mount.destination)?;
    let parsed = options::parse(&mount.options).map_err(Error::Unsupported)?;
    let Options {
        bind,
        recursive_bind,
        attributes,
        recursive_attributes,
        propagation,
        data,
    } = parsed;
    let source = if bind || mount.kind == "bind" {
        if let Some((key, _)) = data.first() {
            return Err(Error::Invalid(format!(
                "invalid option {key:?} of bind mount {destination}"
            )));
        }
        Source::Bind {
            path: below(bundle, &mount.source)?,
            recursive: recursive_bind,
        }
    } else if mount.kind == "cgroup" || mount.kind == "cgroup2" {
        Source::Cgroup
    } else if mount.kind.is_empty() {
        return Err(Error::Invalid(format!("mount {destination} has no type")));
    } else {
        Source::Filesystem {
            kind: mount.kind.clone(),
            device: mount.source.clone(),
            options: data,
        }
    };
    check_destination(&destination, &source)?;
    Ok(Mount {
        destination,
        source,
        attributes,
        recursive_attributes,
        propagation,
    })
}

/// Refuses what would hide the real /proc from the runtime or the container (CVE-2015-3631, CVE-2019-16884).
fn check_destination(destination: &str, source: &Source) -> Result<()> {
    let is_proc = matches!(source, Source::Filesystem { kind, .. } if kind == "proc");
    let refuse = || {
        Err(Error::Invalid(format!(
            "{destination:?} cannot be mounted because it is inside /proc"
        )))
    };
    match destination {
        "/" => Err(Error::Invalid("nothing can be mounted on \"/\"".to_owned())),
        // The host's own /proc, for containers in the host's pid namespace, is recognised when it is mounted.
        "/proc" if is_proc || matches!(source, Source::Bind { .. }) => Ok(()),
        "/proc" => refuse(),
        _ if !destination.starts_with("/proc/") => Ok(()),
        _ if PROC_TARGETS.contains(&destination) && matches!(source, Source::Bind { .. }) => Ok(()),
        _ => refuse(),
    }
}

fn default_links() -> Vec<(String, String)> {
    [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("core", "/proc/kcore"),
        ("ptmx", "pts/ptmx"),
    ]
    .map(|(name, target)| (name.to_owned(), target.to_owned()))
    .to_vec()
}

fn devices(linux: &spec::Linux, dev: bool) -> Result<Vec<Device>> {
    let mut devices = Vec::new();
    if dev {
        for (name, major, minor) in [
            ("null", 1, 3),
            ("zero", 1, 5),
            ("full", 1, 7),
            ("random", 1, 8),
            ("urandom", 1, 9),
            ("tty", 5, 0),
        ] {
            let path = format!("/dev/{name}");
            devices.push(Device {
                path,
                kind: 'c',
                major,
                minor,
                mode: 0o666,
                uid: 0,
                gid: 0,
            });
        }
    }
    for device in &linux.devices {
        let path = clean(&device.path)?;
        let wrong = || Error::Invalid(format!("invalid device {path}"));
        let kind = match device.kind.as_str() {
            "c" | "u" => 'c',
            "b" => 'b',
            "p" => 'p',
            _ => return Err(wrong()),
        };
        let number = |number: i64| {
            if kind == 'p' {
                Ok(0)
            } else {
                u32::try_from(number).map_err(|_| wrong())
            }
        };
        let (major, minor) = (number(device.major)?, number(device.minor)?);
        devices.retain(|known| known.path != path);
        devices.push(Device {
            kind,
            major,
            minor,
            mode: device.file_mode.unwrap_or(0o666) & 0o7777,
            uid: device.uid.unwrap_or(0),
            gid: device.gid.unwrap_or(0),
            path,
        });
    }
    Ok(devices)
}

/// Parameters of a namespace that the container does not have for itself would reach the host (GO-2022-0363).
fn sysctls(
    linux: &spec::Linux,
    namespaces: &[(NamespaceKind, Namespace)],
) -> Result<Vec<(String, String)>> {
    let own = |kind| namespaces.iter().any(|(known, _)| *known == kind);
    let mut sysctls = Vec::new();
    for (name, value) in &linux.sysctl {
        let path = if name.contains('/') {
            name.clone()
        } else {
            name.replace('.', "/")
        };
        if path.is_empty()
            || path.split('/').any(|part| matches!(part, "" | "." | ".."))
            || path.contains('\0')
        {
            return Err(Error::Invalid(format!("invalid sysctl {name:?}")));
        }
        let ipc = [
            "msgmax",
            "msgmnb",
            "msgmni",
            "sem",
            "shmall",
            "shmmax",
            "shmmni",
            "shm_rmid_forced",
            "shm_next_id",
        ];
        let needed = match path.split_once('/') {
            Some(("net", _)) => NamespaceKind::Network,
            Some(("kernel", rest)) if ipc.contains(&rest) => NamespaceKind::Ipc,
            Some(("kernel", "domainname" | "hostname")) => NamespaceKind::Uts,
            Some(("fs", rest)) if rest.starts_with("mqueue/") => NamespaceKind::Ipc,
            _ => {
                return Err(Error::Invalid(format!(
                    "sysctl {name:?} is not in a separate kernel namespace"
                )));
            }
        };
        if !own(needed) {
            return Err(Error::Invalid(format!(
                "sysctl {name:?} is not allowed in the host's namespace"
            )));
        }
        sysctls.push((format!("sys/{path}"), value.clone()));
    }
    Ok(sysctls)
}

fn cgroup(linux: &spec::Linux, layout: &Layout) -> Result<Option<Cgroup>> {
    if linux.cgroups_path.is_empty() {
        return Ok(None);
    }
    let absolute = format!("/{}", linux.cgroups_path.trim_start_matches('/'));
    let path = clean(&absolute)?;
    if path == "/" {
        return Err(Error::Invalid("the control group path is empty".to_owned()));
    }
    let no_resources = spec::Resources::default();
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    Ok(Some(Cgroup {
        path,
        v1: layout
            .v1
            .iter()
            .map(|hierarchy| (hierarchy.controllers.clone(), text(&hierarchy.mount)))
            .collect(),
        v2: layout.v2.as_deref().map(text),
        limits: Limits::compile(linux.resources.as_ref().unwrap_or(&no_resources))?,
    }))
}

/// A path of the host: absolute, or below the bundle.
fn below(bundle: &str, path: &str) -> Result<String> {
    if path.starts_with('/') {
        return absolute(path);
    }
    if bundle.is_empty() || path.is_empty() {
        return Err(Error::Invalid(format!("the path {path:?} is not absolute")));
    }
    absolute(&format!("{}/{path}", bundle.trim_end_matches('/')))
}

fn absolute(path: &str) -> Result<String> {
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Error::Invalid(format!(
            "invalid path {path:?}: not absolute"
        )));
    }
    Ok(path.to_owned())
}

fn absolute_all(paths: &[String]) -> Result<Vec<String>> {
    paths.iter().map(|path| clean(path)).collect()
}

/// Resolves `.`, `..` and doubled slashes by name alone.
fn clean(path: &str) -> Result<String> {
    let mut parts = Vec::new();
    for part in absolute(path)?.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name.to_owned()),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests;
