//! Plans compiled from specifications.

use super::*;

fn layout() -> Layout {
    Layout {
        v1: Vec::new(),
        v2: Some("/sys/fs/cgroup".into()),
    }
}

fn basic() -> Spec {
    serde_json::from_str(
        r#"{"process":{"args":["sh"],"cwd":"/","user":{"uid":7,"gid":8}},"root":{"path":"rootfs"},
        "mounts":[{"destination":"/proc","type":"proc","source":"proc"},
        {"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","mode=755"]}],
        "linux":{"namespaces":[{"type":"mount"},{"type":"pid"},{"type":"uts"}],"cgroupsPath":"a/b"}}"#,
    )
    .unwrap()
}

fn compile(spec: &Spec) -> Result<Plan> {
    let extras = Extras {
        bundle: "/bundle".to_owned(),
        ..Extras::default()
    };
    Plan::compile_for(spec, extras, &layout())
}

#[test]
fn a_basic_specification() {
    let plan = compile(&basic()).unwrap();
    assert_eq!(plan.rootfs, Rootfs::Path("/bundle/rootfs".to_owned()));
    assert_eq!(plan.process.additional_gids, [8]);
    assert_eq!(plan.cgroup.unwrap().path, "/a/b");
    assert!(plan.devices.iter().any(|device| device.path == "/dev/null"));
    assert_eq!(plan.links.len(), 6);
    let bytes = postcard::to_allocvec(&plan.process).unwrap();
    let _: Process = postcard::from_bytes(&bytes).unwrap();
}

#[test]
fn nothing_hides_proc() {
    for (destination, kind) in [
        ("/proc", "tmpfs"),
        ("/proc/self/attr", "bind"),
        ("/proc/sys", "bind"),
        ("/x/..//proc/./sys", "bind"),
        ("/", "tmpfs"),
        ("/proc/cpuinfo", "tmpfs"),
    ] {
        let mut spec = basic();
        spec.mounts.push(spec::Mount {
            destination: destination.to_owned(),
            kind: kind.to_owned(),
            source: "/tmp".to_owned(),
            ..spec::Mount::default()
        });
        assert!(compile(&spec).is_err(), "{destination} {kind}");
    }
}

#[test]
fn sysctls_need_their_namespace() {
    for (name, good) in [
        ("net.ipv4.ip_forward", false),
        ("kernel.shmmax", false),
        ("kernel.domainname", true),
        ("kernel.core_pattern", false),
        ("vm.swappiness", false),
        ("net/../kernel/core_pattern", false),
    ] {
        let mut spec = basic();
        spec.linux
            .as_mut()
            .unwrap()
            .sysctl
            .insert(name.to_owned(), "1".to_owned());
        assert_eq!(compile(&spec).is_ok(), good, "{name}");
    }
    let mut spec = basic();
    let linux = spec.linux.as_mut().unwrap();
    linux.namespaces.push(spec::Namespace {
        kind: "network".to_owned(),
        path: String::new(),
    });
    linux
        .sysctl
        .insert("net.ipv4.ip_forward".to_owned(), "1".to_owned());
    assert_eq!(
        compile(&spec).unwrap().sysctls[0].0,
        "sys/net/ipv4/ip_forward"
    );
}

#[test]
fn refuses_what_it_cannot_do() {
    let mut spec = basic();
    spec.linux
        .as_mut()
        .unwrap()
        .namespaces
        .push(spec::Namespace {
            kind: "user".to_owned(),
            path: String::new(),
        });
    assert!(matches!(compile(&spec), Err(Error::Unsupported(_))));
    let mut spec = basic();
    spec.linux.as_mut().unwrap().namespaces.remove(0);
    assert!(compile(&spec).is_err());
    let mut spec = basic();
    spec.process.as_mut().unwrap().user.uid = u32::MAX;
    assert!(compile(&spec).is_err());
    let mut spec = basic();
    spec.process.as_mut().unwrap().cwd = "x".to_owned();
    assert!(compile(&spec).is_err());
}

#[test]
fn bind_mounts_keep_their_options() {
    let mut spec = basic();
    spec.mounts.push(spec::Mount {
        destination: "/data/".to_owned(),
        kind: "bind".to_owned(),
        source: "/srv".to_owned(),
        options: ["rbind", "rro", "rslave"].map(str::to_owned).to_vec(),
    });
    let plan = compile(&spec).unwrap();
    let mount = plan.mounts.last().unwrap();
    assert_eq!(mount.destination, "/data");
    assert_eq!(
        mount.source,
        Source::Bind {
            path: "/srv".to_owned(),
            recursive: true
        }
    );
    assert_eq!(mount.recursive_attributes, (1, 0));
    assert_eq!(mount.propagation, (sys::mount::propagation::SLAVE, true));
}
