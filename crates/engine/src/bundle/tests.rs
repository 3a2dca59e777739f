//! Specifications as dockerd would write them.

use std::path::Path;
use std::time::SystemTime;

use super::*;
use crate::container::Spec as Asked;
use crate::container::record::Effective;
use crate::container::spec::{Capabilities, Device, Mount, Propagation, Resources};

fn made(spec: Asked) -> Spec {
    made_with(spec, Vec::new())
}

fn made_with(spec: Asked, devices: Vec<Granted>) -> Spec {
    let effective = Effective {
        command: Some(vec!["sh".into(), "-c".into(), "true".into()]),
        hostname: "abc".into(),
        env: vec!["A=1".into()],
        ..Effective::default()
    };
    let record = Record {
        id: "f".repeat(64),
        created: SystemTime::UNIX_EPOCH,
        image_id: String::new(),
        spec,
        effective,
        request: serde_json::Value::Null,
        os: "linux".into(),
        architecture: "amd64".into(),
    };
    let identity = Identity {
        groups: vec![0],
        home: "/root".into(),
        ..Identity::default()
    };
    let host = Host {
        capabilities: u64::MAX,
        ..Host::default()
    };
    specification(&Facts {
        linked: &[],
        record: &record,
        etc: &Paths::new(Path::new("/state"), Path::new("/run")),
        identity: &identity,
        host: &host,
        cgroup_parent: "/corten",
        devices,
    })
}

fn mount(spec: &Spec, destination: &str) -> String {
    let mount = spec
        .mounts
        .iter()
        .find(|mount| mount.destination == destination)
        .unwrap();
    format!(
        "{} {} {}",
        mount.kind,
        mount.source,
        mount.options.join(",")
    )
}

#[test]
fn the_defaults_are_dockers() {
    let spec = made(Asked::default());
    for (destination, expect) in [
        ("/proc", "proc proc nosuid,noexec,nodev"),
        (
            "/dev",
            "tmpfs tmpfs nosuid,strictatime,mode=755,size=65536k",
        ),
        (
            "/dev/pts",
            "devpts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
        ),
        ("/sys", "sysfs sysfs nosuid,noexec,nodev,ro"),
        ("/sys/fs/cgroup", "cgroup cgroup ro,nosuid,noexec,nodev"),
        ("/dev/mqueue", "mqueue mqueue nosuid,noexec,nodev"),
        (
            "/dev/shm",
            "tmpfs shm nosuid,noexec,nodev,mode=1777,size=67108864",
        ),
        ("/etc/hosts", "bind /state/hosts rbind,rprivate,rw"),
    ] {
        assert_eq!(mount(&spec, destination), expect);
    }
    let process = spec.process.unwrap();
    let caps = process.capabilities.unwrap();
    assert_eq!(caps.bounding.len(), 14);
    assert_eq!(
        (&caps.effective, &caps.permitted),
        (&caps.bounding, &caps.bounding)
    );
    assert!(caps.ambient.is_empty() && caps.inheritable.is_empty());
    assert_eq!(process.env[1..], ["HOSTNAME=abc", "A=1", "HOME=/root"]);
    assert_eq!(
        (process.cwd.as_str(), process.user.additional_gids),
        ("/", vec![0])
    );
    let linux = spec.linux.unwrap();
    let namespaces: Vec<&str> = linux
        .namespaces
        .iter()
        .map(|namespace| namespace.kind.as_str())
        .collect();
    assert_eq!(namespaces, ["mount", "network", "uts", "pid", "ipc"]);
    assert_eq!(linux.masked_paths.len(), 12);
    assert_eq!(
        linux.readonly_paths,
        [
            "/proc/bus",
            "/proc/fs",
            "/proc/irq",
            "/proc/sys",
            "/proc/sysrq-trigger"
        ]
    );
    let rules = linux.resources.unwrap().devices;
    assert!(!rules[0].allow && rules[0].kind.is_empty() && rules[0].access == "rwm");
    assert_eq!(linux.cgroups_path, format!("/corten/{}", "f".repeat(64)));
}

#[test]
fn a_privileged_container_has_nothing_masked_and_may_all() {
    let spec = made(Asked {
        privileged: true,
        ..Asked::default()
    });
    let linux = spec.linux.as_ref().unwrap();
    assert!(linux.masked_paths.is_empty() && linux.readonly_paths.is_empty());
    assert!(linux.resources.as_ref().unwrap().devices[0].allow);
    assert_eq!(mount(&spec, "/sys"), "sysfs sysfs nosuid,noexec,nodev,rw");
    assert!(spec.process.unwrap().capabilities.unwrap().bounding.len() > 35);
}

#[test]
fn capabilities_are_added_and_dropped() {
    let count = |add: &[&str], drop: &[&str]| {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let spec = Asked {
            capabilities: Capabilities {
                add: words(add),
                drop: words(drop),
            },
            ..Asked::default()
        };
        check_capabilities(&spec)
            .map(|()| capability_mask(&spec).count_ones())
            .map_err(|error| error.to_string())
    };
    assert_eq!(count(&["NET_ADMIN"], &["CHOWN", "KILL"]), Ok(13));
    assert_eq!(count(&["NET_ADMIN"], &["ALL"]), Ok(1));
    assert_eq!(
        count(&["ALL"], &["CHOWN"]),
        Ok(sys::caps::ALL.count_ones() - 1)
    );
    assert_eq!(
        count(&["FOO"], &[]),
        Err("invalid CapAdd: unknown capability: \"CAP_FOO\"".into())
    );
}

#[test]
fn a_device_has_its_own_permissions_whatever_the_name_of_another() {
    let asked = |host: &str, container: &str, permissions: &str| Device {
        host: host.into(),
        container: container.into(),
        permissions: permissions.into(),
    };
    let devices = [
        asked("/dev/zero", "/dev/x", "rwm"),
        asked("/dev/full", "/dev/x1", "r"),
    ];
    let spec = made_with(Asked::default(), resolve_devices(&devices).unwrap());
    let linux = spec.linux.unwrap();
    let paths: Vec<&str> = linux.devices.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["/dev/x", "/dev/x1"]);
    let rules = linux.resources.unwrap().devices;
    let access = |minor| {
        let rule = rules.iter().rfind(|rule| rule.minor == Some(minor));
        rule.map(|rule| (rule.major, rule.access.as_str()))
    };
    assert_eq!(access(5), Some((Some(1), "rwm")));
    assert_eq!(access(7), Some((Some(1), "r")));
}

#[test]
fn limits_are_translated_by_dockers_rules() {
    let asked = Resources {
        memory: Some(64 << 20),
        nano_cpus: Some(1_500_000_000),
        pids_limit: Some(-1),
        ..Resources::default()
    };
    let resources = made(Asked {
        resources: asked,
        ..Asked::default()
    })
    .linux
    .unwrap()
    .resources
    .unwrap();
    let (memory, cpu) = (resources.memory.unwrap(), resources.cpu.unwrap());
    assert_eq!(
        (memory.limit, memory.swap),
        (Some(64 << 20), Some(128 << 20))
    );
    assert_eq!((cpu.quota, cpu.period), (Some(150_000), Some(100_000)));
    assert_eq!(resources.pids.unwrap().limit, -1);
}

#[test]
fn what_is_asked_for_takes_the_place_of_the_default_and_outer_mounts_come_first() {
    let bind = Mount::Bind {
        source: "/data".into(),
        target: "/etc/hosts/".into(),
        read_only: true,
        recursive_read_only: true,
        create_source: false,
        non_recursive: false,
        propagation: Propagation::default(),
    };
    let tmpfs = Mount::Tmpfs {
        target: "/dev/shm".into(),
        options: vec!["exec".into(), "size=1m".into()],
    };
    let spec = made(Asked {
        mounts: vec![bind, tmpfs],
        ..Asked::default()
    });
    assert_eq!(mount(&spec, "/etc/hosts"), "bind /data rbind,rprivate,rro");
    assert_eq!(
        mount(&spec, "/dev/shm"),
        "tmpfs tmpfs nosuid,nodev,exec,size=1m"
    );
    let depths: Vec<usize> = spec
        .mounts
        .iter()
        .map(|mount| mount.destination.matches('/').count())
        .collect();
    assert!(depths.is_sorted());
    assert_eq!(
        spec.mounts
            .iter()
            .filter(|mount| mount.destination == "/dev/shm")
            .count(),
        1
    );
}
