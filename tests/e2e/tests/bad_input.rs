//! Wrong input: the words that Docker's users know, and nothing left behind.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use testkit::Context;

#[test]
fn wrong_words_are_answered_in_dockers_words() {
    let context = Context::busybox();
    context
        .corten(&["create", "--name", "taken", "busybox", "true"])
        .ok();
    let help = "\n\nRun 'docker run --help' for more information\n";
    for (arguments, code, expected) in [
        (
            &["run", "--rm", "BUSYBOX", "true"][..],
            125,
            "docker: invalid reference format: repository name (library/BUSYBOX) must be lowercase",
        ),
        (
            &["run", "--rm", "--pull=never", "nosuch", "true"],
            125,
            "docker: Error response from daemon: No such image: nosuch:latest",
        ),
        (
            &["run", "--rm", "-m", "4x", "busybox", "true"],
            125,
            "invalid argument \"4x\" for \"-m, --memory\" flag: invalid suffix: 'x'",
        ),
        (
            &["run", "--rm", "-m", "1m", "busybox", "true"],
            125,
            "docker: Error response from daemon: Minimum memory limit allowed is 6MB",
        ),
        (
            &[
                "run",
                "--rm",
                "--mount",
                "type=bind,source=/nosuch,target=/x",
                "busybox",
                "true",
            ],
            125,
            "docker: Error response from daemon: invalid mount config for type \"bind\": bind source path does not exist: /nosuch",
        ),
        (
            &["run", "--rm", "-w", "relative", "busybox", "true"],
            125,
            "docker: Error response from daemon: the working directory 'relative' is invalid, it needs to be an absolute path",
        ),
        (
            &["run", "--rm", "-u", "nosuch", "busybox", "true"],
            125,
            "docker: Error response from daemon: unable to find user nosuch: no matching entries in passwd file",
        ),
    ] {
        let output = context.docker(arguments);
        assert!(
            output.fails(code).starts_with(expected),
            "{arguments:?}: {}",
            output.stderr
        );
        assert!(
            output.stderr.ends_with(help),
            "{arguments:?}: {}",
            output.stderr
        );
    }
    let conflict = context.docker(&["create", "--name", "taken", "busybox", "true"]);
    assert!(
        conflict
            .fails(1)
            .contains("Conflict. The container name \"/taken\" is already in use by container"),
        "{conflict:?}"
    );
    context.corten(&["rm", "taken"]).ok();
    context.assert_no_containers_left();
}

#[test]
fn a_missing_command_is_named() {
    let context = Context::busybox();
    let output = context.corten(&["run", "busybox", "nosuchcommand"]);
    assert!(
        output
            .fails(127)
            .contains("exec: \"nosuchcommand\": executable file not found in $PATH"),
        "{output:?}"
    );
    let output = context.corten(&["run", "--rm", "busybox", "/etc/not-executable"]);
    assert!(
        output
            .fails(126)
            .contains("exec: \"/etc/not-executable\": permission denied"),
        "{output:?}"
    );
    context.assert_no_containers_left();
}

#[test]
fn an_ambiguous_prefix_is_refused() {
    let context = Context::busybox();
    // Seventeen ids share a first digit at least once.
    for _ in 0..17 {
        context.corten(&["create", "busybox", "true"]).ok();
    }
    let ids: Vec<String> = context
        .corten(&["ps", "-aq", "--no-trunc"])
        .ok()
        .lines()
        .map(str::to_owned)
        .collect();
    let prefix = "0123456789abcdef"
        .chars()
        .find(|c| ids.iter().filter(|id| id.starts_with(*c)).count() > 1);
    let prefix = prefix.expect("two ids share their first digit").to_string();
    let answer = context
        .request("GET", &format!("/containers/{prefix}/json"), None)
        .expect("an answer");
    assert_eq!(answer.status, 400, "{}", answer.json());
    assert!(
        answer.json()["message"]
            .as_str()
            .is_some_and(|message| message.contains("multiple IDs found with provided prefix")),
        "{}",
        answer.json()
    );
}

#[test]
fn corrupt_archives_leave_nothing() {
    let context = Context::new();
    let good = fs::read(testkit::fixtures::image("busybox")).expect("the archive");
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("noise", &[7; 10_000]),
        ("truncated", &good[..good.len() / 3]),
        ("flipped", &flipped),
    ] {
        let output = context.corten_with(&["load", "-q"], bytes);
        assert_ne!(output.code, 0, "{name}: {output:?}");
        assert_eq!(context.corten(&["images", "-aq"]).ok(), "", "{name}");
        let left: Vec<_> = ["content/ingest", "snapshots", "images"]
            .iter()
            .flat_map(|path| {
                fs::read_dir(context.directory().join("data").join(path))
                    .into_iter()
                    .flatten()
                    .flatten()
            })
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                path.is_dir() && name != ".empty" && !name.starts_with("ready-")
            })
            .collect();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}

#[test]
fn hostile_archives_touch_nothing_outside() {
    let context = Context::busybox();
    let outside = context.directory().join("outside");
    fs::create_dir(&outside).expect("create the directory");
    // A link out of the root, then a file through it: what is unpacked must stay inside.
    let tree = context.directory().join("tree");
    fs::create_dir_all(tree.join("a")).expect("create the tree");
    std::os::unix::fs::symlink(&outside, tree.join("link")).expect("link");
    fs::write(tree.join("a/evil"), "evil\n").expect("write");
    let script = format!(
        "cd {tree} && tar -cf ../evil.tar link && tar -rf ../evil.tar --transform 's,^a/,link/,' a/evil && tar -rPf ../evil.tar --transform 's,^a/,../../../../../../..{outside}/,' a/evil",
        tree = tree.display(),
        outside = outside.display()
    );
    testkit::command::run(std::process::Command::new("sh").args(["-c", &script])).ok();
    let archive = context.directory().join("evil.tar");
    context.corten(&["import", &archive.to_string_lossy(), "evil:latest"]);
    assert_eq!(fs::read_dir(&outside).expect("the directory").count(), 0);
}

#[test]
fn a_client_that_sends_on_after_a_refusal_still_gets_to_read_it() {
    let context = Context::new();
    let mut client = UnixStream::connect(context.socket()).expect("connect");
    let length = 8 << 20;
    let head = format!(
        "POST /images/create?fromSrc=-&platform=nonsense HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).expect("send the head");
    let body = vec![0; length];
    client
        .write_all(&body)
        .expect("nobody hangs up while the body comes");
    let mut answer = [0; 12];
    client.read_exact(&mut answer).expect("read the answer");
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let context = Context::busybox();
    for (body, named) in [
        (
            serde_json::json!({"Image": "busybox", "HostConfig": {"PidMode": "container:x"}}),
            "PidMode",
        ),
        (
            serde_json::json!({"Image": "busybox", "HostConfig": {"Runtime": "nosuch"}}),
            "untime",
        ),
        (
            serde_json::json!({"Image": "busybox", "HostConfig": {"BlkioWeight": 500}}),
            "BlkioWeight",
        ),
        (
            serde_json::json!({"Image": "busybox", "HostConfig": {"VolumesFrom": ["x"]}}),
            "VolumesFrom",
        ),
    ] {
        let answer = context
            .request("POST", "/containers/create", Some(&body))
            .expect("an answer");
        assert!(
            matches!(answer.status, 400 | 404 | 501),
            "{body}: {} {}",
            answer.status,
            answer.json()
        );
        let message = answer.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(message.contains(named), "{body}: {message}");
    }
    context.assert_no_containers_left();
}
