//! Killing the daemon or a monitor, anywhere: containers run on, and nothing leaks.

use std::time::{Duration, Instant};

use testkit::command::{self, eventually};
use testkit::harness::promised;
use testkit::{Context, leaks};

/// Every named point of `engine::steps`: that crate's own test compares its list with this file.
const STEPS: &[&str] = &[
    "create.named",
    "create.prepared",
    "create.directory",
    "create.recorded",
    "start.leased",
    "start.mounted",
    "start.connected",
    "start.files",
    "start.spawned",
    "start.created",
    "start.started",
    "start.running",
    "start.recorded",
    "stop.signalled",
    "exit.received",
    "exit.released",
    "exit.published",
    "remove.leased",
    "remove.marked",
    "remove.snapshot",
    "remove.directory",
];

#[test]
fn containers_run_on_without_the_daemon() {
    let mut context = Context::busybox();
    context
        .corten(&[
            "run",
            "-d",
            "--name",
            "box",
            "busybox",
            "sh",
            "-c",
            "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done",
        ])
        .ok();
    context
        .corten(&[
            "run",
            "-d",
            "--name",
            "ends",
            "busybox",
            "sh",
            "-c",
            "sleep 1; exit 6",
        ])
        .ok();
    let pid = context.inspect("box", "{{.State.Pid}}");
    context.kill_daemon();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(
        std::path::Path::new(&format!("/proc/{pid}")).exists(),
        "the container runs on"
    );
    let start = Instant::now();
    context.start_daemon();
    assert!(
        start.elapsed() < promised(Duration::from_secs(1)),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(
        context.inspect("box", "{{.State.Status}} {{.State.Pid}}"),
        format!("running {pid}")
    );
    assert_eq!(
        context.inspect("ends", "{{.State.Status}} {{.State.ExitCode}}"),
        "exited 6"
    );
    let output = context.corten(&["logs", "box"]);
    let lines: Vec<u32> = output
        .ok()
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    assert!(lines.len() > 10, "{lines:?}");
    assert!(
        lines
            .iter()
            .zip(1..)
            .all(|(line, expected)| *line == expected),
        "a line was lost: {lines:?}"
    );
    assert_eq!(
        context.corten(&["exec", "box", "echo", "still"]).ok(),
        "still"
    );
    context.corten(&["stop", "-t", "0", "box"]).ok();
}

#[test]
fn killed_at_random_moments_nothing_leaks() {
    let mut context = Context::busybox();
    for round in 0..6_u64 {
        let running: Vec<_> = (0..4)
            .map(|_| context.corten_start(&["run", "--rm", "busybox", "sh", "-c", "sleep 0.1"]))
            .collect();
        std::thread::sleep(Duration::from_millis(5 + round * 23));
        context.kill_daemon();
        for one in running {
            _ = one.wait(Duration::from_secs(20));
        }
        context.start_daemon();
    }
    context.assert_no_containers_left();
    assert_eq!(
        context
            .corten(&["run", "--rm", "busybox", "echo", "fine"])
            .ok(),
        "fine"
    );
}

#[test]
fn a_killed_monitor_ends_its_container_only() {
    let context = Context::busybox();
    for name in ["victim", "other"] {
        context
            .corten(&["run", "-d", "--name", name, "busybox", "sleep", "1000"])
            .ok();
    }
    let pid = context.inspect("victim", "{{.State.Pid}}");
    let monitor = parent(&pid);
    assert!(command::signal(monitor, "KILL"));
    let reported = eventually(Duration::from_secs(5), || {
        context.inspect("victim", "{{.State.Status}}") == "exited"
    });
    assert!(reported, "{}", context.daemon_log());
    assert_ne!(
        context.inspect("victim", "{{.State.ExitCode}}"),
        "0",
        "an unknown end is no success"
    );
    let gone = eventually(Duration::from_secs(2), || {
        !std::path::Path::new(&format!("/proc/{pid}")).exists()
    });
    assert!(gone, "its container ends");
    assert_eq!(
        context.corten(&["exec", "other", "echo", "fine"]).ok(),
        "fine"
    );
    assert_eq!(context.corten(&["start", "victim"]).ok(), "victim");
}

fn parent(pid: &str) -> u32 {
    let stat =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the container's process");
    let (_, rest) = stat.rsplit_once(')').expect("a stat line");
    rest.split_whitespace()
        .nth(1)
        .and_then(|parent| parent.parse().ok())
        .expect("the parent")
}

#[test]
fn killed_at_every_step_nothing_leaks() {
    let mut context = Context::busybox();
    for step in STEPS {
        context.kill_daemon();
        context.set_environment(&[("CORTEN_FAIL_AT", step)]);
        context.start_daemon();
        // Passes every step once; somewhere in it the daemon aborts.
        for arguments in [
            &["run", "-d", "--name", "victim", "busybox", "sleep", "1000"][..],
            &["stop", "-t", "0", "victim"],
            &["rm", "-f", "victim"],
        ] {
            _ = context
                .corten_start(arguments)
                .wait(Duration::from_secs(20));
        }
        context.wait_daemon(Duration::from_secs(10));
        context.set_environment(&[]);
        let taken = context.start_daemon();
        assert!(
            taken < Duration::from_secs(2),
            "{step}: back after {taken:?}"
        );
        let state = context
            .corten(&["ps", "-a", "--format", "{{.Names}} {{.State}}"])
            .ok()
            .to_owned();
        assert!(
            [
                "",
                "victim created",
                "victim running",
                "victim exited",
                "victim dead"
            ]
            .contains(&state.as_str()),
            "{step}: {state}"
        );
        context.corten(&["rm", "-f", "victim"]);
        let left = leaks::settle(Duration::from_secs(5), || {
            leaks::of_containers(context.names())
        });
        assert!(
            left.is_empty(),
            "{step} left behind:\n{}\n{}",
            left.join("\n"),
            context.daemon_log()
        );
    }
}
