//! What every container gets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::Test;
use crate::bundle::{Bundle, strings};

pub(crate) const TESTS: &[Test] = &[
    ("lifecycle::runs_a_program", runs_a_program),
    ("lifecycle::exit_codes_and_signals", exit_codes_and_signals),
    ("lifecycle::namespaces_and_names", namespaces_and_names),
    ("lifecycle::default_devices", default_devices),
    ("lifecycle::mounts", mounts),
    ("lifecycle::bind_mounts", bind_mounts),
    ("lifecycle::user_home_and_groups", user_home_and_groups),
    (
        "lifecycle::working_directory_is_made",
        working_directory_is_made,
    ),
    (
        "lifecycle::detached_overlay_and_inherited_network",
        detached_overlay,
    ),
    ("lifecycle::terminal", terminal),
    ("lifecycle::init_reaps_and_forwards", init_forwards),
    (
        "lifecycle::dies_with_its_creator_before_start",
        dies_before_start,
    ),
    (
        "lifecycle::is_taken_back_while_it_is_made",
        taken_back_while_it_is_made,
    ),
    ("lifecycle::held_mounts_outlive_it", held_mounts_outlive_it),
];

fn runs_a_program() {
    assert_eq!(Bundle::new("echo hello").run().success(), "hello\n");
}

fn exit_codes_and_signals() {
    assert_eq!(Bundle::new("exit 42").run().ended.code(), 42);
    let bundle = Bundle::new("sleep 100");
    let (created, _reader) = bundle.create().unwrap();
    let started = created.start().unwrap();
    started.pidfd.send_signal(9).unwrap();
    assert_eq!(started.pidfd.wait().unwrap().code(), 137);
}

fn namespaces_and_names() {
    let output = Bundle::new("hostname; echo $$; ls /sys/class/net; umask; ls /proc/1/fd | wc -l")
        .run()
        .output;
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..3], ["box", "1", "lo"], "{output}");
}

fn default_devices() {
    let script =
        "for d in null zero full random urandom tty; do stat -c '%n %t:%T %a' /dev/$d; done
        for l in fd ptmx stdout; do readlink /dev/$l; done
        echo x > /dev/null";
    let output = Bundle::new(script).run().success();
    assert!(
        output.starts_with("/dev/null 1:3 666\n/dev/zero 1:5 666\n/dev/full 1:7 666\n"),
        "{output}"
    );
    assert!(
        output.contains("/proc/self/fd\npts/ptmx\n/proc/self/fd/1\n"),
        "{output}"
    );
}

fn mounts() {
    let bundle = Bundle::new("cat /proc/self/mountinfo");
    let directory = bundle.directory.path().to_str().unwrap().to_owned();
    let output = bundle.run().success();
    for expected in [
        " / rw",
        " /proc ",
        " /dev ",
        " /dev/pts ",
        " /sys ",
        " /sys/fs/cgroup ",
        " /dev/mqueue ",
        " /dev/shm ",
        " /proc/sys ro",
        " /proc/keys ",
    ] {
        assert!(output.contains(expected), "{expected} in {output}");
    }
    let proc = output
        .lines()
        .find(|line| line.contains(" /proc "))
        .unwrap();
    assert!(proc.contains("rw,nosuid,nodev,noexec"), "{proc}");
    let host = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!host.contains(&directory));
}

fn bind_mounts() {
    let mut bundle = Bundle::new(
        "cat /etc/given; echo more > /data/new; echo x > /fixed/no; cat /made/deep/file; touch /data/below/ro; ls /data/below",
    );
    let host = tempfile::tempdir().unwrap();
    fs::create_dir(host.path().join("below")).unwrap();
    fs::write(host.path().join("file"), "given\n").unwrap();
    let source = |name: &str| host.path().join(name).to_str().unwrap().to_owned();
    for (from, to, option) in [
        (source("file"), "/etc/given", "ro"),
        (source(""), "/data", "rprivate"),
        (source(""), "/fixed", "rro"),
        (source("file"), "/made/deep/file", "rw"),
    ] {
        bundle.spec.mounts.push(oci::runtime::Mount {
            destination: to.to_owned(),
            kind: "bind".to_owned(),
            source: from,
            options: strings(&["rbind", option]),
        });
    }
    let output = bundle.run().output;
    assert!(output.starts_with("given\n"), "{output}");
    assert!(output.contains("Read-only file system"), "{output}");
    assert!(output.ends_with("given\nro\n"), "{output}");
    assert_eq!(
        fs::read_to_string(host.path().join("new")).unwrap(),
        "more\n"
    );
    assert!(!host.path().join("no").exists());
}

fn user_home_and_groups() {
    let mut bundle = Bundle::new("id -u; id -g; id -G; echo $HOME; grep ^Cap /proc/self/status");
    let user = &mut bundle.process().user;
    user.uid = 1000;
    user.gid = 1000;
    user.additional_gids = vec![7];
    let output = bundle.run().success();
    assert!(
        output.starts_with("1000\n1000\n1000 7\n/home/user\n"),
        "{output}"
    );
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(
            output.contains(&format!("{set}:\t0000000000000000")),
            "{output}"
        );
    }
}

fn working_directory_is_made() {
    let mut bundle = Bundle::new("pwd");
    "/a/b".clone_into(&mut bundle.process().cwd);
    assert_eq!(bundle.run().success(), "/a/b\n");
    let mode = fs::metadata(bundle.root().join("a/b"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
}

fn detached_overlay() {
    use std::io::Read as _;
    let mut bundle =
        Bundle::new("echo written > /made; cat /made; ls /sys/class/net; ls /proc/self/fd");
    bundle.extras.rootfs_fd = true;
    bundle.extras.netns_fd = true;
    bundle.extras.die_with_parent = true;
    let (upper, work) = (
        bundle.directory.path().join("upper"),
        bundle.directory.path().join("work"),
    );
    fs::create_dir(&upper).unwrap();
    fs::create_dir(&work).unwrap();
    let lower = bundle.root();
    let rootfs = sys::overlay::mount(&[&lower], Some((&upper, &work)), true).unwrap();
    let (mut reader, stdio) = crate::bundle::output();
    let netns = sys::mount::open_readable(std::path::Path::new("/proc/self/ns/net")).unwrap();
    let fds = runtime::Fds {
        rootfs: Some(rootfs),
        netns: Some(netns),
        stdio,
        init: None,
        gate: runtime::Gate::Creator,
    };
    let proof = sys::process::SingleThreaded::prove().unwrap();
    let started = runtime::create(&proof, &bundle.plan(), fds)
        .unwrap()
        .start()
        .unwrap();
    let mut output = String::new();
    reader.read_to_string(&mut output).unwrap();
    assert_eq!(started.pidfd.wait().unwrap().code(), 0, "{output}");
    assert!(output.starts_with("written\n"), "{output}");
    assert!(output.ends_with("0\n1\n2\n3\n"), "{output}");
    assert_eq!(fs::read_to_string(upper.join("made")).unwrap(), "written\n");
    assert!(!bundle.root().join("made").exists());
}

fn terminal() {
    use runtime::Stdio;
    use std::io::Read as _;
    let mut bundle =
        Bundle::new("tty; stty size; test -c /dev/console && echo console; ls -l /proc/self/fd/0");
    bundle.process().terminal = true;
    let stdio = Stdio::Terminal(Some((33, 101)));
    let fds = crate::bundle::fds(stdio);
    let proof = sys::process::SingleThreaded::prove().unwrap();
    let started = runtime::create(&proof, &bundle.plan(), fds)
        .unwrap()
        .start()
        .unwrap();
    let mut master = fs::File::from(started.terminal.unwrap());
    let mut bytes = Vec::new();
    // The end of a terminal is EIO.
    master.read_to_end(&mut bytes).ok();
    let output = String::from_utf8(bytes).unwrap();
    assert_eq!(started.pidfd.wait().unwrap().code(), 0);
    assert!(
        output.starts_with("/dev/pts/0\r\n33 101\r\nconsole\r\n"),
        "{output}"
    );
}

fn init_forwards() {
    let mut bundle = Bundle::new(
        "trap 'echo got; exit 7' TERM; cat /proc/1/cmdline; echo; echo $$; while :; do sleep 0.01; done",
    );
    bundle.extras.init = true;
    let (created, mut reader) = bundle.create().unwrap();
    let started = created.start().unwrap();
    let mut output = String::new();
    let mut buffer = [0; 256];
    while !output.contains("\n2\n") {
        let size = std::io::Read::read(&mut reader, &mut buffer).unwrap();
        assert!(size > 0, "{output}");
        output.push_str(&String::from_utf8_lossy(&buffer[..size]));
    }
    started.pidfd.send_signal(15).unwrap();
    std::io::Read::read_to_string(&mut reader, &mut output).unwrap();
    assert_eq!(started.pidfd.wait().unwrap().code(), 7, "{output}");
    assert!(output.contains("got"), "{output}");
}

fn dies_before_start() {
    let bundle = Bundle::new("echo never");
    let (created, mut reader) = bundle.create().unwrap();
    let pidfd = sys::process::PidFd::open(created.pid).unwrap();
    drop(created);
    let mut output = String::new();
    std::io::Read::read_to_string(&mut reader, &mut output).unwrap();
    assert_eq!(pidfd.wait().unwrap().code(), 1);
    assert_eq!(output, "");
}

fn taken_back_while_it_is_made() {
    let bundle = Bundle::new("echo never");
    let plan = bundle.plan();
    let (mut reader, stdio) = crate::bundle::output();
    let proof = sys::process::SingleThreaded::prove().unwrap();
    drop(runtime::begin(&proof, &plan, crate::bundle::fds(stdio)).unwrap());
    // Reaped, and its group with it.
    assert!(matches!(sys::process::reap_any(), Err(_) | Ok(None)));
    let group = plan.cgroup.unwrap();
    let places = [group.unified(), group.controller("pids")];
    assert!(places.iter().flatten().all(|place| !place.exists()));
    let mut output = String::new();
    std::io::Read::read_to_string(&mut reader, &mut output).unwrap();
    assert_eq!(output, "");
}

fn held_mounts_outlive_it() {
    use std::os::fd::AsRawFd as _;
    let bundle = Bundle::new("echo written > /made");
    let plan = bundle.plan();
    let (_reader, stdio) = crate::bundle::output();
    let proof = sys::process::SingleThreaded::prove().unwrap();
    let mut creating = runtime::begin(&proof, &plan, crate::bundle::fds(stdio)).unwrap();
    creating.hold_mounts();
    let mut created = creating.finish().unwrap();
    let own = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap();
    let mounts = own(created.pid);
    let held = std::mem::take(&mut created.namespaces);
    assert_eq!(created.start().unwrap().pidfd.wait().unwrap().code(), 0);
    let names: Vec<_> = held
        .iter()
        .map(|fd| fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap())
        .collect();
    assert_eq!(names, [mounts]);
    plan.cgroup.unwrap().remove().unwrap();
}

/// Prints how long it takes from create to the program's exec (CORTEN_RUNTIME_ROUNDS=100).
pub(crate) fn measure(rounds: usize) {
    let bundle = Bundle::new("true");
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (plan, group) = (bundle.plan(), bundle.plan().cgroup.unwrap());
        let (_reader, stdio) = crate::bundle::output();
        let fds = crate::bundle::fds(stdio);
        let proof = sys::process::SingleThreaded::prove().unwrap();
        let start = std::time::Instant::now();
        let created = runtime::create(&proof, &plan, fds).unwrap();
        let made = start.elapsed();
        let started = created.start().unwrap();
        times.push((start.elapsed(), made));
        started.pidfd.wait().unwrap();
        let end = std::time::Instant::now();
        group.remove().unwrap();
        times.sort_unstable();
        if times.len() == rounds {
            println!("last removal {:?}", end.elapsed());
        }
    }
    println!("best {:?} median {:?}", times[0], times[rounds / 2]);
}
