//! What a container must not be able to do.

use oci::runtime::{Cpu, DeviceRule, Memory, Pids, Resources, Rlimit};

use crate::Test;
use crate::bundle::{Bundle, strings};

pub(crate) const TESTS: &[Test] = &[
    ("confinement::status_of_a_default_container", status),
    ("confinement::masked_and_read_only_paths", masked),
    ("confinement::read_only_root", read_only_root),
    ("confinement::limits_are_written", limits),
    (
        "confinement::limits_are_written_below_a_group_that_others_made",
        limits_below_others,
    ),
    ("confinement::out_of_memory_is_counted", out_of_memory),
    ("confinement::devices_are_denied", devices),
    ("confinement::sysctls_and_rlimits", sysctls_and_rlimits),
    ("confinement::seccomp_and_no_new_privileges", seccomp),
    ("confinement::private_view_of_control_groups", private_view),
    ("confinement::freeze_and_thaw", freeze),
    ("confinement::kill_takes_all", kill_takes_all),
];

fn status() {
    let output =
        Bundle::new("grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status; ls -l /proc/self/fd")
            .run()
            .success();
    // Docker's default set of 14.
    for line in [
        "CapInh:\t0000000000000000",
        "CapPrm:\t00000000a80425fb",
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t0",
        "Seccomp:\t0",
    ] {
        assert!(output.contains(line), "{line} in {output}");
    }
    // ls itself has the directory open as 3.
    assert!(!output.contains(" 4 -> "), "{output}");
}

fn masked() {
    let output = Bundle::new(
        "echo 1 > /proc/sys/kernel/core_pattern; echo 1 > /proc/sys/kernel/hostname; true",
    )
    .run();
    let output = output.output;
    assert!(
        output.contains("can't create /proc/sys/kernel/hostname: Read-only file system"),
        "{output}"
    );
    assert!(
        output.contains("can't create /proc/sys/kernel/core_pattern: Read-only file system"),
        "{output}"
    );
    let output = Bundle::new("cat /proc/keys; ls /sys/firmware")
        .run()
        .success();
    assert_eq!(output, "");
}

fn read_only_root() {
    let mut bundle = Bundle::new("touch /x; touch /dev/shm/y && echo shm");
    bundle.spec.root.as_mut().unwrap().readonly = true;
    let output = bundle.run().success();
    assert!(
        output.contains("Read-only file system") && output.contains("shm"),
        "{output}"
    );
}

fn limited(script: &str) -> Bundle {
    let mut bundle = Bundle::new(script);
    bundle.linux().resources = Some(Resources {
        memory: Some(Memory {
            limit: Some(64 << 20),
            swap: Some(64 << 20),
            ..Memory::default()
        }),
        cpu: Some(Cpu {
            quota: Some(50_000),
            period: Some(100_000),
            shares: Some(512),
            cpus: "0".to_owned(),
            ..Cpu::default()
        }),
        pids: Some(Pids { limit: 17 }),
        ..Resources::default()
    });
    bundle
}

fn limits() {
    let bundle = limited("cat /proc/self/cgroup");
    let (created, _reader) = bundle.create().unwrap();
    let group = bundle.plan().cgroup.unwrap();
    assert_eq!(group.processes().unwrap(), [created.pid]);
    let read = |controller: &str, file: &str| {
        let directory = group
            .controller(controller)
            .or_else(|| group.unified())
            .unwrap();
        std::fs::read_to_string(directory.join(file))
            .unwrap()
            .trim()
            .to_owned()
    };
    if group.is_v2() {
        assert_eq!(read("memory", "memory.max"), (64 << 20).to_string());
        assert_eq!(read("cpu", "cpu.max"), "50000 100000");
        assert_eq!(read("cpu", "cpu.weight"), "59");
        assert_eq!(read("cpu", "cpu.max.burst"), "0");
    } else {
        assert_eq!(
            read("memory", "memory.limit_in_bytes"),
            (64 << 20).to_string()
        );
        assert_eq!(read("cpu", "cpu.cfs_quota_us"), "50000");
        assert_eq!(read("cpu", "cpu.shares"), "512");
        assert_eq!(read("cpuset", "cpuset.cpus"), "0");
        for (controllers, _) in &group.v1 {
            let procs = read(&controllers[0], "cgroup.procs");
            assert_eq!(procs, created.pid.to_string(), "{controllers:?}");
        }
    }
    assert_eq!(read("pids", "pids.max"), "17");
    drop(created);
}

/// Nobody has given controllers to the children of a group that was there before.
fn limits_below_others() {
    let bundle = limited("true");
    let group = bundle.plan().cgroup.unwrap();
    let directory = group.controller("memory").or_else(|| group.unified());
    let directory = directory.unwrap();
    std::fs::create_dir(directory.parent().unwrap()).unwrap();
    let (created, _reader) = bundle.create().unwrap();
    let file = if group.is_v2() {
        "memory.max"
    } else {
        "memory.limit_in_bytes"
    };
    let limit = std::fs::read_to_string(directory.join(file)).unwrap();
    assert_eq!(limit.trim(), (64 << 20).to_string());
    drop(created);
}

fn out_of_memory() {
    let bundle = limited("dd if=/dev/zero of=/dev/null bs=200M count=1");
    let (created, _reader) = bundle.create().unwrap();
    let started = created.start().unwrap();
    assert_eq!(started.pidfd.wait().unwrap().code(), 137);
    assert!(bundle.plan().cgroup.unwrap().oom_kills() > 0);
}

fn devices() {
    let script = "mknod /tmp/loop b 7 0 && cat /tmp/loop; mknod /tmp/fuse c 10 229; cat /tmp/fuse";
    let output = Bundle::new(script).run().output;
    assert_eq!(
        output.matches("Operation not permitted").count(),
        2,
        "{output}"
    );
    let mut bundle =
        Bundle::new("mknod /tmp/n c 10 229; dd if=/tmp/n of=/dev/null bs=1 count=0 && echo opened");
    bundle.linux().resources.as_mut().unwrap().devices = vec![DeviceRule {
        allow: true,
        kind: "c".to_owned(),
        major: Some(10),
        minor: Some(229),
        access: "r".to_owned(),
    }];
    let output = bundle.run().output;
    assert!(output.contains("opened"), "{output}");
}

fn sysctls_and_rlimits() {
    let mut bundle = Bundle::new(
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj",
    );
    bundle.linux().sysctl.insert(
        "net.ipv4.ip_unprivileged_port_start".to_owned(),
        "81".to_owned(),
    );
    bundle.process().rlimits = vec![Rlimit {
        kind: "RLIMIT_NOFILE".to_owned(),
        soft: 100,
        hard: 200,
    }];
    bundle.process().oom_score_adj = Some(250);
    assert_eq!(bundle.run().success(), "81\n100\n200\n250\n");
    // Without CAP_SYS_RESOURCE these are cut, not refused.
    let mut bundle = Bundle::new("echo ran");
    bundle.process().rlimits = vec![Rlimit {
        kind: "RLIMIT_NOFILE".to_owned(),
        soft: 1 << 30,
        hard: 1 << 30,
    }];
    bundle.process().oom_score_adj = Some(-500);
    assert_eq!(bundle.run().success(), "ran\n");
}

fn seccomp() {
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],
        "syscalls":[{"names":["sethostname","mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}"#;
    for no_new_privileges in [false, true] {
        let mut bundle =
            Bundle::new("mkdir /x; grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status");
        bundle.linux().seccomp = Some(serde_json::from_str(profile).unwrap());
        bundle.process().no_new_privileges = no_new_privileges;
        bundle.process().user.uid = 1000;
        bundle.process().capabilities = None;
        let output = bundle.run().output;
        assert!(output.contains("Operation not permitted"), "{output}");
        assert!(output.contains("Seccomp:\t2"), "{output}");
        assert!(
            output.contains(&format!("NoNewPrivs:\t{}", i32::from(no_new_privileges))),
            "{output}"
        );
    }
}

fn freeze() {
    let bundle = Bundle::new("sleep 100");
    let (created, _reader) = bundle.create().unwrap();
    let started = created.start().unwrap();
    let group = bundle.plan().cgroup.unwrap();
    group.freeze().unwrap();
    assert!(group.is_frozen());
    group.thaw().unwrap();
    assert!(!group.is_frozen());
    group.freeze().unwrap();
    group.kill().unwrap();
    assert_eq!(started.pidfd.wait().unwrap().code(), 137);
}

fn kill_takes_all() {
    let mut bundle = Bundle::new("sleep 100 & sleep 100 & sleep 100");
    bundle
        .linux()
        .namespaces
        .retain(|namespace| namespace.kind != "pid");
    bundle.spec.mounts.retain(|mount| mount.kind != "proc");
    bundle.linux().readonly_paths = strings(&[]);
    let (created, mut reader) = bundle.create().unwrap();
    let started = created.start().unwrap();
    let group = bundle.plan().cgroup.unwrap();
    while group.processes().unwrap().len() < 3 {
        std::thread::yield_now();
    }
    group.kill().unwrap();
    assert_eq!(started.pidfd.wait().unwrap().code(), 137);
    std::io::Read::read_to_end(&mut reader, &mut Vec::new()).unwrap();
    // Killed orphans stay in the group until the host's init has reaped them.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !group.processes().unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
}

fn private_view() {
    let mut bundle = Bundle::new(
        "cat /proc/self/cgroup; ls /sys/fs/cgroup; mkdir /sys/fs/cgroup/x; mkdir /sys/fs/cgroup/pids/x",
    );
    let namespace = oci::runtime::Namespace {
        kind: "cgroup".to_owned(),
        path: String::new(),
    };
    bundle.linux().namespaces.push(namespace);
    let output = bundle.run().output;
    let group = bundle.plan().cgroup.unwrap();
    assert!(!output.contains(&group.path), "{output}");
    if group.is_v2() {
        assert!(output.starts_with("0::/\n"), "{output}");
        assert!(
            output.contains("cgroup.procs") && output.contains("memory.max"),
            "{output}"
        );
    } else {
        assert!(output.contains(":pids:/\n"), "{output}");
        assert!(output.contains("\nmemory\n"), "{output}");
    }
    assert!(output.contains("Read-only file system"), "{output}");
}
