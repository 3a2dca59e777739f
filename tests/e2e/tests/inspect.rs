//! `inspect`: what was asked for, what is.

use serde_json::Value;
use testkit::Context;

#[test]
fn a_container_tells_what_was_asked_and_what_is() {
    let context = Context::busybox();
    context
        .corten(&[
            "run",
            "-d",
            "--name",
            "box",
            "-e",
            "A=b",
            "-l",
            "k=v",
            "-m",
            "64m",
            "--cpus",
            "0.5",
            "-w",
            "/tmp",
            "--stop-signal",
            "TERM",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
    for (template, expected) in [
        (
            "{{.Name}} {{.State.Status}} {{.State.Running}}",
            "/box running true",
        ),
        (
            "{{.Config.Cmd}} {{.Path}} {{.Args}}",
            "[sleep 1000] sleep [1000]",
        ),
        (
            "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}",
            "67108864 500000000",
        ),
        (
            "{{.Config.WorkingDir}} {{.Config.StopSignal}} {{index .Config.Labels \"k\"}}",
            "/tmp TERM v",
        ),
        (
            "{{.HostConfig.NetworkMode}} {{.Config.Image}}",
            "bridge busybox",
        ),
        (
            "{{.HostConfig.LogConfig.Type}} {{.RestartCount}}",
            "json-file 0",
        ),
    ] {
        assert_eq!(context.inspect("box", template), expected, "{template}");
    }
    let address = context.inspect("box", "{{.NetworkSettings.IPAddress}}");
    let inside = context.corten(&["exec", "box", "ip", "-4", "-o", "addr", "show", "eth0"]);
    assert!(
        inside.ok().contains(&address),
        "{address} in {}",
        inside.stdout
    );
    let all: Value = serde_json::from_str(context.corten(&["inspect", "box"]).ok()).expect("JSON");
    assert_eq!(all[0]["Id"].as_str().map(str::len), Some(64));
}

#[test]
fn the_pid_is_real_and_gone_after_the_end() {
    let context = Context::busybox();
    context
        .corten(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"])
        .ok();
    let pid = context.inspect("box", "{{.State.Pid}}");
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("the process");
    assert_eq!(arguments, "sleep\u{0}1000\u{0}");
    context.corten(&["kill", "box"]).ok();
    assert_eq!(context.corten(&["wait", "box"]).ok(), "137");
    assert_eq!(
        context.inspect(
            "box",
            "{{.State.Pid}} {{.State.ExitCode}} {{.State.Status}}"
        ),
        "0 137 exited"
    );
}
