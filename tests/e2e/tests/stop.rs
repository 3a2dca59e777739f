//! `stop`, `kill`, `wait`, `start`, `rm`, `rename`: the rest of a container's life.

use std::time::{Duration, Instant};

use testkit::Context;

#[test]
fn stop_signals_waits_and_kills() {
    let context = Context::busybox();
    let trap = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.1; done";
    context
        .corten(&["run", "-d", "--name", "polite", "busybox", "sh", "-c", trap])
        .ok();
    testkit::command::eventually(Duration::from_secs(5), || {
        context.corten(&["logs", "polite"]).stdout == "ready\n"
    });
    assert_eq!(context.corten(&["stop", "polite"]).ok(), "polite");
    assert_eq!(context.inspect("polite", "{{.State.ExitCode}}"), "7");
    assert_eq!(context.corten(&["logs", "polite"]).ok(), "ready\nbye");

    context
        .corten(&["run", "-d", "--name", "deaf", "busybox", "sleep", "1000"])
        .ok();
    let start = Instant::now();
    context.corten(&["stop", "-t", "1", "deaf"]).ok();
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(5)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(context.inspect("deaf", "{{.State.ExitCode}}"), "137");
    assert_eq!(
        context.corten(&["stop", "deaf"]).ok(),
        "deaf",
        "stopping twice is no error"
    );
}

#[test]
fn kill_sends_the_signal_it_is_given() {
    let context = Context::busybox();
    let trap = "trap 'exit 9' USR1; echo ready; while :; do sleep 0.1; done";
    context
        .corten(&["run", "-d", "--name", "box", "busybox", "sh", "-c", trap])
        .ok();
    testkit::command::eventually(Duration::from_secs(5), || {
        context.corten(&["logs", "box"]).stdout == "ready\n"
    });
    context.corten(&["kill", "-s", "USR1", "box"]).ok();
    assert_eq!(context.corten(&["wait", "box"]).ok(), "9");
    let id = context.inspect("box", "{{.Id}}");
    assert_eq!(
        context.corten(&["kill", "box"]).fails(1),
        format!(
            "Error response from daemon: cannot kill container: box: container {id} is not running\n"
        )
    );
}

#[test]
fn start_again_keeps_the_files() {
    let context = Context::busybox();
    context
        .corten(&[
            "run",
            "--name",
            "box",
            "busybox",
            "sh",
            "-c",
            "echo run >> /count; cat /count",
        ])
        .ok();
    assert_eq!(context.corten(&["start", "-a", "box"]).ok(), "run\nrun");
    assert_eq!(context.corten(&["logs", "box"]).ok(), "run\nrun\nrun");
}

#[test]
fn restart_keeps_what_goes_with_its_end() {
    let context = Context::busybox();
    let script = "echo run >> /count; while [ ! -e /end ]; do sleep 0.1; done";
    context
        .corten(&[
            "run", "-d", "--rm", "--name", "box", "busybox", "sh", "-c", script,
        ])
        .ok();
    let id = context.inspect("box", "{{.Id}}");
    let mut expected = String::new();
    for _ in 0..3 {
        expected.push_str("run\n");
        let seen = testkit::command::eventually(Duration::from_secs(5), || {
            context.corten(&["exec", "box", "cat", "/count"]).stdout == expected
        });
        assert!(seen, "its files are kept: {expected:?}");
        assert_eq!(context.corten(&["restart", "-t", "0", "box"]).ok(), "box");
        assert_eq!(
            context.inspect("box", "{{.Id}} {{.State.Status}}"),
            format!("{id} running")
        );
    }
    context.corten(&["exec", "box", "touch", "/end"]).ok();
    let gone = testkit::command::eventually(Duration::from_secs(5), || {
        context.corten(&["ps", "-aq"]).stdout.is_empty()
    });
    assert!(gone, "it goes with its own end");
    context.assert_no_containers_left();
}

#[test]
fn remove_wants_force_for_what_runs() {
    let context = Context::busybox();
    context
        .corten(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"])
        .ok();
    assert_eq!(
        context.corten(&["rm", "box"]).fails(1),
        "Error response from daemon: cannot remove container \"box\": container is running: stop the container before removing or force remove\n"
    );
    assert_eq!(context.corten(&["rm", "-f", "box"]).ok(), "box");
    assert_eq!(context.corten(&["ps", "-aq"]).ok(), "");
    context.assert_no_containers_left();
}

#[test]
fn names_are_free_once_an_operation_has_answered() {
    let context = Context::busybox();
    for _ in 0..20 {
        context
            .corten(&["run", "-d", "--name", "same", "busybox", "sleep", "1000"])
            .ok();
        context.corten(&["rm", "-f", "same"]).ok();
    }
    context
        .corten(&["create", "--name", "one", "busybox", "true"])
        .ok();
    context.corten(&["rename", "one", "two"]).ok();
    context
        .corten(&["create", "--name", "one", "busybox", "true"])
        .ok();
    assert_eq!(
        context.corten(&["ps", "-a", "--format", "{{.Names}}"]).ok(),
        "one\ntwo"
    );
}

#[test]
fn wait_returns_the_code_to_all() {
    let context = Context::busybox();
    context
        .corten(&[
            "run",
            "-d",
            "--name",
            "box",
            "busybox",
            "sh",
            "-c",
            "sleep 0.5; exit 5",
        ])
        .ok();
    let waiting: Vec<_> = (0..4)
        .map(|_| context.corten_start(&["wait", "box"]))
        .collect();
    for one in waiting {
        assert_eq!(
            one.wait(Duration::from_secs(10)).expect("it ends").ok(),
            "5"
        );
    }
}
