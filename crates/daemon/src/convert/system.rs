//! Version and info.

use std::collections::BTreeMap;
use std::time::SystemTime;

use api::system::{
    Commit, Component, FirewallBackend, IndexConfig, Info, PlatformName, Plugins, RegistryConfig,
    Runtime, Swarm, Version,
};
use api::version::{ApiVersion, MAXIMUM, MINIMUM};
use engine::ops::system as domain;
use image::remote::Options;

use super::create::RUNTIME;

/// `GET /version`.
pub fn version(version: &domain::Version) -> Version {
    let details = BTreeMap::from([
        ("ApiVersion".to_owned(), MAXIMUM.to_string()),
        ("MinAPIVersion".to_owned(), MINIMUM.to_string()),
        ("Os".to_owned(), version.os.to_owned()),
        ("Arch".to_owned(), version.architecture.to_owned()),
        ("KernelVersion".to_owned(), version.kernel.clone()),
        ("Experimental".to_owned(), "false".to_owned()),
        ("GitCommit".to_owned(), String::new()),
        ("GoVersion".to_owned(), String::new()),
        ("BuildTime".to_owned(), built()),
    ]);
    Version {
        platform: PlatformName {
            name: "Corten".to_owned(),
        },
        components: vec![Component {
            name: "Engine".to_owned(),
            version: version.version.clone(),
            details,
        }],
        version: version.version.clone(),
        api_version: MAXIMUM.to_string(),
        min_api_version: MINIMUM.to_string(),
        os: version.os.to_owned(),
        arch: version.architecture.to_owned(),
        kernel_version: version.kernel.clone(),
        build_time: built(),
        ..Version::default()
    }
}

/// When the program was built, as far as its file tells.
fn built() -> String {
    let modified = std::fs::metadata("/proc/self/exe").and_then(|metadata| metadata.modified());
    modified.map(stdx::time::rfc3339_nano).unwrap_or_default()
}

/// `GET /info`.
pub fn info(info: &domain::Info, debug: bool, warnings: &[String], version: ApiVersion) -> Info {
    let (cgroup, containers) = (&info.cgroup, &info.containers);
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let warnings: Vec<String> = info.warnings.iter().chain(warnings).cloned().collect();
    let (old, with_expected) = (!version.at_least(50), !version.at_least(49));
    Info {
        id: info.id.clone(),
        containers: count(containers.all),
        containers_running: count(containers.running),
        containers_paused: count(containers.paused),
        containers_stopped: count(containers.stopped),
        images: count(info.images),
        driver: "overlay2".to_owned(),
        driver_status: driver_status(),
        plugins: plugins(),
        memory_limit: cgroup.memory,
        swap_limit: cgroup.swap,
        kernel_memory: (!version.at_least(42)).then_some(false),
        kernel_memory_tcp: (cgroup.version == 1).then_some(false),
        cpu_cfs_period: cgroup.cpu_quota,
        cpu_cfs_quota: cgroup.cpu_quota,
        cpu_shares: cgroup.cpu_shares,
        cpu_set: cgroup.cpuset,
        pids_limit: cgroup.pids,
        ipv4_forwarding: info.ipv4_forwarding,
        bridge_nf_iptables: old.then_some(false),
        bridge_nf_ip6tables: old.then_some(false),
        debug,
        n_fd: count(info.fds),
        oom_kill_disable: cgroup.oom_kill_disable,
        system_time: stdx::time::rfc3339_nano(SystemTime::now()),
        logging_driver: "json-file".to_owned(),
        cgroup_driver: "cgroupfs".to_owned(),
        cgroup_version: cgroup.version.to_string(),
        n_events_listener: count(info.listeners),
        kernel_version: info.kernel.clone(),
        operating_system: info.operating_system.clone(),
        os_version: info.os_version.clone(),
        os_type: "linux".to_owned(),
        architecture: info.machine.to_owned(),
        index_server_address: "https://index.docker.io/v1/".to_owned(),
        registry_config: registry_config(&info.registries, !version.at_least(47)),
        n_cpu: count(info.cpus),
        mem_total: info.memory.cast_signed(),
        docker_root_dir: info.root.display().to_string(),
        name: info.hostname.clone(),
        server_version: info.version.clone(),
        runtimes: runtimes(version),
        default_runtime: RUNTIME.to_owned(),
        swarm: Swarm {
            local_node_state: "inactive".to_owned(),
            ..Swarm::default()
        },
        live_restore_enabled: true,
        init_binary: "corten".to_owned(),
        containerd_commit: commit("", with_expected),
        runc_commit: commit(&info.version, with_expected),
        init_commit: commit(&info.version, false),
        security_options: security_options(cgroup.version),
        firewall_backend: version.at_least(49).then(|| FirewallBackend {
            driver: "nftables".to_owned(),
            info: Vec::new(),
        }),
        warnings: (!warnings.is_empty()).then_some(warnings),
        ..Info::default()
    }
}

/// The built-in runtime alone; what it can do is told since 1.44.
fn runtimes(version: ApiVersion) -> BTreeMap<String, Runtime> {
    let features = r#"{"ociVersionMin":"1.0.0","ociVersionMax":"1.2.0"}"#;
    let status = || {
        let key = "org.opencontainers.runtime-spec.features".to_owned();
        BTreeMap::from([(key, features.to_owned())])
    };
    let runtime = Runtime {
        path: RUNTIME.to_owned(),
        status: version.at_least(44).then(status),
    };
    BTreeMap::from([(RUNTIME.to_owned(), runtime)])
}

fn driver_status() -> Vec<[String; 2]> {
    [
        ("Backing Filesystem", "overlay"),
        ("Supports d_type", "true"),
        ("Detached mounts", "true"),
    ]
    .map(|(name, value)| [name.to_owned(), value.to_owned()])
    .into()
}

fn plugins() -> Plugins {
    let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    Plugins {
        volume: list(&[]),
        network: list(&["bridge", "host", "ipvlan", "macvlan", "null"]),
        authorization: None,
        log: list(&["json-file", "none"]),
    }
}

/// Docker always writes Docker Hub here.
fn registry_config(registries: &Options, old: bool) -> RegistryConfig {
    // Docker ends the address of a mirror with a slash.
    let mirrors: Vec<String> = registries
        .hub_mirrors
        .iter()
        .map(|mirror| format!("{}/", mirror.trim_end_matches('/')))
        .collect();
    let hub = IndexConfig {
        name: "docker.io".to_owned(),
        mirrors: mirrors.clone(),
        secure: true,
        official: true,
    };
    let mut cidrs = vec!["::1/128".to_owned(), "127.0.0.0/8".to_owned()];
    let mut index_configs = BTreeMap::from([("docker.io".to_owned(), hub)]);
    for insecure in &registries.insecure {
        if insecure.contains('/') {
            cidrs.push(insecure.clone());
            continue;
        }
        let index = IndexConfig {
            name: insecure.clone(),
            ..IndexConfig::default()
        };
        index_configs.insert(insecure.clone(), index);
    }
    RegistryConfig {
        allow_nondistributable_artifacts_cidrs: old.then_some(None),
        allow_nondistributable_artifacts_hostnames: old.then_some(None),
        insecure_registry_cidrs: cidrs,
        index_configs,
        mirrors: (!mirrors.is_empty()).then_some(mirrors),
    }
}

/// A version of a part, if there is one to tell.
fn commit(id: &str, with_expected: bool) -> Commit {
    Commit {
        id: id.to_owned(),
        expected: (with_expected && !id.is_empty()).then(|| id.to_owned()),
    }
}

fn security_options(cgroup_version: u8) -> Vec<String> {
    let mut options = vec!["name=seccomp,profile=builtin".to_owned()];
    if cgroup_version == 2 {
        options.push("name=cgroupns".to_owned());
    }
    options
}
