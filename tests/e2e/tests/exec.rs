//! `exec`: another process in a running container.

use testkit::Context;

fn running() -> Context {
    let context = Context::busybox();
    context
        .corten(&[
            "run",
            "-d",
            "--name",
            "box",
            "-e",
            "A=container",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
    context
}

#[test]
fn output_and_exit_codes() {
    let context = running();
    let output = context.corten(&["exec", "box", "sh", "-c", "echo out; echo err >&2; exit 5"]);
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str(), output.code),
        ("out\n", "err\n", 5)
    );
    assert_eq!(context.corten(&["exec", "box", "nosuchcommand"]).code, 127);
    assert_eq!(
        context.corten(&["exec", "box", "/etc/not-executable"]).code,
        126
    );
    assert_eq!(
        context
            .corten(&["exec", "box", "sh", "-c", "kill -9 $$"])
            .code,
        137
    );
    assert_eq!(
        context
            .corten_with(&["exec", "-i", "box", "cat"], b"in\n")
            .ok(),
        "in"
    );
}

#[test]
fn surroundings() {
    let context = running();
    for (arguments, expected) in [
        (&["box", "sh", "-c", "echo $A $HOME"][..], "container /root"),
        (&["-e", "A=exec", "box", "sh", "-c", "echo $A"], "exec"),
        (&["-w", "/tmp", "box", "pwd"], "/tmp"),
        (&["-u", "www-data", "box", "id", "-u"], "33"),
        (
            &["box", "hostname"],
            &context.inspect("box", "{{.Config.Hostname}}"),
        ),
        (&["box", "readlink", "/proc/1/exe"], "/bin/busybox"),
    ] {
        let mut all = vec!["exec"];
        all.extend(arguments);
        assert_eq!(context.corten(&all).ok(), expected, "{arguments:?}");
    }
}

#[test]
fn it_is_confined_like_the_container() {
    let context = running();
    let status = context.corten(&["exec", "box", "cat", "/proc/self/status"]);
    for line in [
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "Seccomp:\t2",
    ] {
        assert!(status.ok().contains(line), "{line} in {}", status.stdout);
    }
    let privileged = context.corten(&["exec", "--privileged", "box", "cat", "/proc/self/status"]);
    assert!(!privileged.ok().contains("CapEff:\t00000000a80425fb"));
    let cgroup = context
        .corten(&["exec", "box", "cat", "/proc/self/cgroup"])
        .ok()
        .to_owned();
    assert_eq!(
        cgroup,
        context
            .corten(&["exec", "box", "cat", "/proc/1/cgroup"])
            .ok()
    );
}

#[test]
fn detached_and_in_a_stopped_container() {
    let context = running();
    context
        .corten(&["exec", "-d", "box", "sh", "-c", "echo done > /tmp/done"])
        .ok();
    let seen = testkit::command::eventually(std::time::Duration::from_secs(5), || {
        context.corten(&["exec", "box", "cat", "/tmp/done"]).stdout == "done\n"
    });
    assert!(seen, "the detached process did its work");
    context.corten(&["stop", "-t", "0", "box"]).ok();
    let output = context.corten(&["exec", "box", "true"]);
    let id = context.inspect("box", "{{.Id}}");
    assert_eq!(
        output.fails(1),
        format!("Error response from daemon: container {id} is not running\n")
    );
}

#[test]
fn its_end_is_known_by_the_api() {
    let context = running();
    let create = serde_json::json!({"Cmd": ["sh", "-c", "exit 6"], "AttachStdout": true});
    let exec = context
        .request("POST", "/containers/box/exec", Some(&create))
        .expect("an answer")
        .json();
    let id = exec["Id"].as_str().expect("an id");
    let start = serde_json::json!({"Detach": true});
    assert_eq!(
        context
            .request("POST", &format!("/exec/{id}/start"), Some(&start))
            .expect("an answer")
            .status,
        200
    );
    let ended = testkit::command::eventually(std::time::Duration::from_secs(5), || {
        let state = context
            .request("GET", &format!("/exec/{id}/json"), None)
            .expect("an answer")
            .json();
        state["Running"] == false && state["ExitCode"] == 6
    });
    assert!(ended, "{}", context.daemon_log());
}
