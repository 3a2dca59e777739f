//! What a container sees and may do, looked at from inside: Docker's confinement, bit for bit.

use testkit::Context;

/// Prints everything that confinement decides, a section each.
const PEEK: &str = r#"
grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status
echo fds $(ls /proc/self/fd | grep -v '^3$' | tr '\n' ' ')
for path in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/latency_stats; do
  [ -e $path ] && echo masked $path $(wc -c < $path)
done
for path in /proc/acpi /proc/scsi /sys/firmware /proc/asound; do
  [ -e $path ] && echo hidden $path $(ls $path | wc -l)
done
for path in /proc/sys /proc/sysrq-trigger /proc/irq /proc/bus /proc/fs; do
  [ -e $path ] && awk -v p=$path '$2 == p {split($4, o, ","); print "mount", p, o[1]}' /proc/mounts
done
(echo 1 > /proc/sys/kernel/panic) 2>/dev/null && echo WRITABLE /proc/sys
(echo 1 > /sys/kernel/uevent_seqnum) 2>/dev/null && echo WRITABLE /sys
mount -t tmpfs none /tmp 2>/dev/null && echo MOUNTED
mkdir -p /tmp/d; mknod /tmp/d/sda b 8 0 2>/dev/null && cat /tmp/d/sda >/dev/null 2>&1 && echo READ-DISK
unshare -U true 2>/dev/null && echo UNSHARED
true
"#;

#[test]
fn a_container_is_confined_as_dockers() {
    let context = Context::busybox();
    let peek = context.corten(&["run", "--rm", "busybox", "sh", "-c", PEEK]);
    let lines: Vec<&str> = peek.ok().lines().collect();
    for expected in [
        "CapInh:\t0000000000000000",
        "CapPrm:\t00000000a80425fb",
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t0",
        "Seccomp:\t2",
        "fds 0 1 2",
        "mount /proc/sys ro",
    ] {
        assert!(lines.contains(&expected), "{expected:?} in {lines:#?}");
    }
    for line in &lines {
        let open = ["WRITABLE", "MOUNTED", "READ-DISK", "UNSHARED"]
            .iter()
            .any(|word| line.starts_with(word));
        assert!(!open, "{line}");
        if line.starts_with("mount") {
            assert!(line.ends_with(" ro"), "{line}");
        }
        if line.starts_with("masked") || line.starts_with("hidden") {
            assert!(line.ends_with(" 0"), "{line}");
        }
    }
}

#[test]
fn options_loosen_what_they_name() {
    let context = Context::busybox();
    for (options, key, expected) in [
        (&["--cap-drop", "ALL"][..], "CapEff", "0000000000000000"),
        (
            &["--cap-drop", "ALL", "--cap-add", "NET_RAW"],
            "CapEff",
            "0000000000002000",
        ),
        (&["--security-opt", "no-new-privileges"], "NoNewPrivs", "1"),
        (&["--security-opt", "seccomp=unconfined"], "Seccomp", "0"),
        (&["-u", "1000"], "CapEff", "0000000000000000"),
        (&["--privileged"], "Seccomp", "0"),
    ] {
        let mut all = vec!["run", "--rm"];
        all.extend(options);
        all.extend([
            "busybox",
            "awk",
            "-v",
            "key=Key",
            "{ print }",
            "/proc/self/status",
        ]);
        let status = context.corten(&all);
        let line = format!("{key}:\t{expected}");
        assert!(
            status.ok().lines().any(|found| found == line),
            "{options:?}: {line} in {}",
            status.stdout
        );
    }
    let privileged = context.corten(&[
        "run",
        "--rm",
        "--privileged",
        "busybox",
        "sh",
        "-c",
        "mkdir /mnt && mount -t tmpfs none /mnt && echo mounted",
    ]);
    assert_eq!(privileged.ok(), "mounted");
}

#[test]
fn namespaces_are_its_own() {
    let context = Context::busybox();
    for namespace in ["cgroup", "ipc", "mnt", "net", "pid", "uts"] {
        let path = format!("/proc/self/ns/{namespace}");
        let inside = context
            .corten(&["run", "--rm", "busybox", "readlink", &path])
            .ok()
            .to_owned();
        let outside = std::fs::read_link(&path)
            .expect("the namespace")
            .to_string_lossy()
            .into_owned();
        // On a host without cgroup v2 Docker shares the cgroup namespace.
        let shared = namespace == "cgroup"
            && !std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        assert_eq!(inside == outside, shared, "{namespace}");
    }
    let processes = context.corten(&[
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "ls -d /proc/[0-9]* | wc -l",
    ]);
    assert!(
        processes
            .ok()
            .trim()
            .parse::<u32>()
            .is_ok_and(|count| count <= 4),
        "{processes:?}"
    );
}

#[test]
fn no_program_of_ours_can_be_reached() {
    let context = Context::busybox();
    let ours = std::fs::metadata(testkit::fixtures::corten())
        .expect("the program")
        .len()
        .to_string();
    let output = context.corten(&[
        "run",
        "--rm",
        "--init",
        "busybox",
        "sh",
        "-c",
        "stat -Lc %s /proc/1/exe; echo x >> /proc/1/exe",
    ]);
    assert_ne!(
        output.code, 0,
        "the init's file must not be writable: {output:?}"
    );
    let after = std::fs::metadata(testkit::fixtures::corten())
        .expect("the program")
        .len()
        .to_string();
    assert_eq!(ours, after);
}

#[test]
fn devices_are_dockers() {
    let context = Context::busybox();
    let output = context.corten(&["run", "--rm", "busybox", "ls", "/dev"]);
    let devices: Vec<&str> = output.ok().split_whitespace().collect();
    let expected = [
        "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout", "tty", "urandom", "zero",
    ];
    assert_eq!(devices, expected);
    let output = context.corten(&[
        "run",
        "--rm",
        "--device",
        "/dev/kmsg:/dev/mine:r",
        "busybox",
        "sh",
        "-c",
        "ls /dev/mine && echo x > /dev/mine",
    ]);
    assert_ne!(
        output.code, 0,
        "written to a device that may only be read: {output:?}"
    );
}
