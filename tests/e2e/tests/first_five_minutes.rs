//! What a newcomer does first: the default socket, a daemon that starts by itself, the real clients.

use testkit::Context;

#[test]
fn the_real_docker_command_line_works() {
    let context = Context::busybox();
    let version = context.docker(&[
        "version",
        "--format",
        "{{.Server.Os}} {{.Server.APIVersion}}",
    ]);
    assert!(version.ok().starts_with("linux 1."), "{version:?}");
    context.docker(&["info"]).ok();
    assert_eq!(
        context
            .docker(&["run", "--rm", "busybox", "echo", "hello"])
            .ok(),
        "hello"
    );
    context
        .docker(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"])
        .ok();
    assert_eq!(context.docker(&["exec", "box", "echo", "in"]).ok(), "in");
    assert_eq!(
        context.docker(&["ps", "--format", "{{.Names}}"]).ok(),
        "box"
    );
    context.docker(&["stop", "-t", "0", "box"]).ok();
    assert_eq!(
        context
            .docker(&["inspect", "--format", "{{.State.ExitCode}}", "box"])
            .ok(),
        "137"
    );
    context.docker(&["rm", "box"]).ok();
    assert_eq!(
        context
            .docker(&["run", "--rm", "busybox", "sh", "-c", "exit 5"])
            .code,
        5
    );
}

#[test]
fn a_debian_userland_runs() {
    let context = Context::new();
    context.load("debian-bookworm");
    let output = context.docker(&[
        "run",
        "--rm",
        "debian:bookworm",
        "bash",
        "-c",
        ". /etc/os-release; echo $VERSION_CODENAME; dpkg -l | wc -l",
    ]);
    assert!(output.ok().starts_with("bookworm\n"), "{output:?}");
}

#[test]
fn ping_version_and_info_answer() {
    let context = Context::new();
    let ping = context.request("GET", "/_ping", None).expect("an answer");
    assert_eq!((ping.status, ping.body.as_slice()), (200, &b"OK"[..]));
    let version = context
        .request("GET", "/version", None)
        .expect("an answer")
        .json();
    assert!(
        version["ApiVersion"]
            .as_str()
            .is_some_and(|version| version.starts_with("1.")),
        "{version}"
    );
    let info = context
        .request("GET", "/info", None)
        .expect("an answer")
        .json();
    assert_eq!(info["Containers"], 0);
}

#[test]
fn the_daemon_starts_within_its_promise_and_stops_when_told() {
    let mut context = Context::new();
    context.stop_daemon();
    let taken = context.start_daemon();
    // The promise is 50 ms; a shared machine with tests beside this one gets some more.
    assert!(taken < std::time::Duration::from_secs(1), "{taken:?}");
}
