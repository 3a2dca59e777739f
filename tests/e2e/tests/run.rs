//! `run`: exit codes, the process' surroundings, mounts, limits.

use std::fs;
use std::time::Duration;

use testkit::command::eventually;
use testkit::{Context, skip};

pub(crate) fn check(context: &Context, arguments: &[&str], stdout: &str) {
    let mut all = vec!["run", "--rm"];
    all.extend(arguments);
    let output = context.corten(&all);
    assert_eq!(
        (output.stdout.trim_end(), output.code),
        (stdout, 0),
        "{arguments:?}: {}",
        output.stderr
    );
}

#[test]
fn exit_codes_are_dockers() {
    let context = Context::busybox();
    for (arguments, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 3"], 3),
        (&["nosuchcommand"], 127),
        (&["/nosuchfile"], 127),
        (&["/etc/not-executable"], 126),
        (&["/etc"], 126),
    ] {
        let mut all = vec!["run", "--rm", "busybox"];
        all.extend(arguments);
        assert_eq!(context.corten(&all).code, code, "{arguments:?}");
    }
    let killed = ["run", "--rm", "--init", "busybox", "sh", "-c", "kill -9 $$"];
    assert_eq!(context.corten(&killed).code, 137);
    assert_eq!(
        context
            .corten(&["run", "--rm", "--network", "nosuch", "busybox", "true"])
            .code,
        125
    );
    assert_eq!(
        context.corten(&["run", "--nosuchflag", "busybox"]).code,
        125
    );
}

#[test]
fn output_goes_where_the_container_wrote_it() {
    let context = Context::busybox();
    let output = context.corten(&[
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "echo out; echo err >&2",
    ]);
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn input_reaches_the_container_and_ends() {
    let context = Context::busybox();
    let input = "line\n".repeat(100_000);
    let output = context.corten_with(&["run", "--rm", "-i", "busybox", "cat"], input.as_bytes());
    assert_eq!(output.ok(), input.trim_end());
}

#[test]
fn a_lot_of_output_arrives_whole() {
    let context = Context::busybox();
    let output = context.corten(&["run", "--rm", "busybox", "seq", "1", "200000"]);
    let lines: Vec<&str> = output.ok().lines().collect();
    assert_eq!(
        (lines.len(), lines[0], lines[199_999]),
        (200_000, "1", "200000")
    );
}

#[test]
fn the_environment_is_as_asked() {
    let context = Context::busybox();
    let file = context.directory().join("env");
    fs::write(&file, "# comment\nFROM_FILE=1\n").expect("write the file");
    let path = file.to_string_lossy();
    check(
        &context,
        &["-e", "A=1 2", "busybox", "sh", "-c", "echo $A"],
        "1 2",
    );
    check(
        &context,
        &[
            "--env-file",
            &path,
            "busybox",
            "sh",
            "-c",
            "echo $FROM_FILE",
        ],
        "1",
    );
    check(
        &context,
        &["-w", "/made/on/the/way", "busybox", "pwd"],
        "/made/on/the/way",
    );
    check(&context, &["-h", "myhost", "busybox", "hostname"], "myhost");
    check(
        &context,
        &["-h", "myhost", "busybox", "cat", "/etc/hostname"],
        "myhost",
    );
    check(
        &context,
        &["--entrypoint", "echo", "busybox", "one", "two"],
        "one two",
    );
    check(
        &context,
        &["busybox", "sh", "-c", "echo $HOME $PATH"],
        "/root /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
}

#[test]
fn users_and_groups_come_from_the_image() {
    let context = Context::busybox();
    check(
        &context,
        &["-u", "www-data", "busybox", "id"],
        "uid=33(www-data) gid=33(www-data) groups=33(www-data)",
    );
    check(
        &context,
        &["-u", "daemon:adm", "busybox", "id"],
        "uid=1(daemon) gid=4(adm) groups=4(adm)",
    );
    check(
        &context,
        &["-u", "1234", "busybox", "id"],
        "uid=1234 gid=0(root) groups=0(root)",
    );
    check(
        &context,
        &[
            "--group-add",
            "7",
            "--group-add",
            "adm",
            "busybox",
            "id",
            "-G",
        ],
        "0 4 7",
    );
}

#[test]
fn a_read_only_root_is_read_only_but_for_its_mounts() {
    let context = Context::busybox();
    let output = context.corten(&["run", "--rm", "--read-only", "busybox", "touch", "/x"]);
    assert_eq!(output.stderr, "touch: /x: Read-only file system\n");
    check(
        &context,
        &["--read-only", "--tmpfs", "/x", "busybox", "touch", "/x/y"],
        "",
    );
    check(
        &context,
        &[
            "--tmpfs",
            "/x:size=1m,mode=700",
            "busybox",
            "stat",
            "-c",
            "%a",
            "/x",
        ],
        "700",
    );
}

#[test]
fn init_reaps_and_passes_signals() {
    let context = Context::busybox();
    let output = context.corten(&[
        "run",
        "--rm",
        "--init",
        "busybox",
        "sh",
        "-c",
        "echo $$; exit 4",
    ]);
    assert_ne!(output.stdout.trim(), "1");
    assert_eq!(output.code, 4);
    context
        .corten(&[
            "run", "-d", "--name", "init", "--init", "busybox", "sleep", "1000",
        ])
        .ok();
    context.corten(&["kill", "-s", "TERM", "init"]).ok();
    assert_eq!(context.corten(&["wait", "init"]).ok(), "143");
}

#[test]
fn queues_are_those_of_the_hosts_namespace_where_asked() {
    let context = Context::busybox();
    let queues = ["stat", "-f", "-c", "%T", "/dev/mqueue"];
    for mode in ["host", "private"] {
        let mut arguments = vec!["--ipc", mode, "busybox"];
        arguments.extend(queues);
        check(&context, &arguments, "UNKNOWN");
    }
    let host = fs::read_link("/proc/self/ns/ipc").expect("the test's own namespace");
    check(
        &context,
        &["--ipc", "host", "busybox", "readlink", "/proc/self/ns/ipc"],
        &host.to_string_lossy(),
    );
}

#[test]
fn a_limit_that_the_daemon_may_not_raise_is_cut_and_told() {
    let context = Context::busybox();
    let read = |path| fs::read_to_string(path).expect("a file of the kernel");
    let limits = read("/proc/self/limits");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let hard: u64 = line
        .and_then(|line| line.split_whitespace().nth(4))
        .and_then(|hard| hard.parse().ok())
        .expect("the hard limit");
    const CAP_SYS_RESOURCE: u64 = 1 << 24;
    let status = read("/proc/self/status");
    let raisable = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & CAP_SYS_RESOURCE != 0);
    let wanted = hard + 1;
    let output = context.corten(&[
        "run",
        "--rm",
        "--ulimit",
        &format!("nofile={wanted}"),
        "busybox",
        "sh",
        "-c",
        "ulimit -Hn",
    ]);
    if raisable {
        assert_eq!(output.ok(), wanted.to_string());
    } else {
        assert_eq!(output.ok(), hard.to_string());
        assert_eq!(
            output.stderr,
            format!(
                "WARNING: The daemon may not raise the limit nofile above {hard} (it has no CAP_SYS_RESOURCE). Limit cut to {hard}.\n"
            )
        );
    }
}

#[test]
fn limits_hold() {
    let context = Context::busybox();
    check(
        &context,
        &[
            "--ulimit",
            "nofile=100:200",
            "busybox",
            "sh",
            "-c",
            "ulimit -n; ulimit -Hn",
        ],
        "100\n200",
    );
    let output = context.corten(&[
        "run",
        "--rm",
        "--pids-limit",
        "1",
        "busybox",
        "sh",
        "-c",
        "true | true",
    ]);
    assert_eq!(
        output.stderr,
        "sh: can't fork: Resource temporarily unavailable\n"
    );
}

#[test]
fn a_memory_limit_is_in_the_containers_cgroup() {
    let context = Context::busybox();
    context
        .corten(&[
            "run", "-d", "--name", "mem", "-m", "64m", "busybox", "sleep", "1000",
        ])
        .ok();
    let id = context.inspect("mem", "{{.Id}}");
    let parent = &context.names().cgroup;
    let files = [
        format!("/sys/fs/cgroup/memory/{parent}/{id}/memory.limit_in_bytes"),
        format!("/sys/fs/cgroup/{parent}/{id}/memory.max"),
    ];
    let limits: Vec<String> = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    if limits.is_empty()
        && !fs::read_to_string("/proc/cgroups")
            .unwrap_or_default()
            .contains("memory")
    {
        skip!("this kernel has no memory controller");
    }
    assert_eq!(limits, ["67108864\n"], "{files:?}");
    assert_eq!(oom(&context), (137, "true".to_owned()));
}

/// The exit code of a container that takes more memory than it may, and whether it is said to have.
fn oom(context: &Context) -> (i32, String) {
    let eat = "dd if=/dev/zero of=/dev/null bs=100M count=1";
    let output = context.corten(&[
        "run", "--name", "eater", "-m", "16m", "busybox", "sh", "-c", eat,
    ]);
    (
        output.code,
        context.inspect("eater", "{{.State.OOMKilled}}"),
    )
}

#[test]
fn detached_and_named() {
    let context = Context::busybox();
    let file = context.directory().join("cid");
    let output = context.corten(&[
        "run",
        "-d",
        "--name",
        "det",
        "--cidfile",
        &file.to_string_lossy(),
        "busybox",
        "sleep",
        "1000",
    ]);
    let id = output.ok();
    assert_eq!(id.len(), 64);
    assert_eq!(fs::read_to_string(file).expect("the id's file"), id);
    assert_eq!(
        context.inspect(&id[..12], "{{.Name}} {{.State.Status}}"),
        "/det running"
    );
    context.assert_no_containers_left();
}

/// How many descriptors of the daemon are roots of mounts that are mounted nowhere.
fn detached_roots(context: &Context) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", context.daemon_pid())).expect("a daemon");
    descriptors
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|link| link.as_os_str() == "/")
        .count()
}

#[test]
fn one_that_goes_with_its_end_may_be_started_late_or_never() {
    let context = Context::busybox();
    let create = |name| {
        let echo = ["create", "--rm", "--name", name, "busybox", "echo", name];
        context.corten(&echo).ok();
    };
    let mounted = |count| eventually(Duration::from_secs(5), || detached_roots(&context) == count);
    assert_eq!(detached_roots(&context), 0);
    // Its root is mounted for the start that is to come, and not for long.
    create("never");
    assert!(mounted(1));
    context.corten(&["rm", "never"]).ok();
    assert!(mounted(0));
    create("late");
    assert!(mounted(1));
    assert!(mounted(0));
    assert_eq!(context.corten(&["start", "-a", "late"]).ok(), "late");
    // A container that stays is not mounted before its start.
    context
        .corten(&["create", "--name", "stays", "busybox"])
        .ok();
    assert_eq!(detached_roots(&context), 0);
    context.corten(&["rm", "stays"]).ok();
    assert!(eventually(Duration::from_secs(5), || {
        context.corten(&["ps", "-aq"]).ok().is_empty()
    }));
}

#[test]
fn a_terminal_is_one() {
    let context = Context::busybox();
    // The machine's `script` gives the command line a terminal.
    let corten = testkit::fixtures::corten();
    let mut command = std::process::Command::new("script");
    let line = format!(
        "{} run --rm -it busybox sh -c 'tty; stty size; exit 5'",
        corten.display()
    );
    command.args(["-qec", &line, "/dev/null"]).env(
        "DOCKER_HOST",
        format!("unix://{}", context.socket().display()),
    );
    let output = testkit::command::run(&mut command);
    assert_eq!(output.code, 5, "{output:?}");
    assert!(output.stdout.contains("/dev/pts/0"), "{output:?}");
}

#[test]
fn many_at_once() {
    let context = Context::busybox();
    let running: Vec<_> = (0..16)
        .map(|number| {
            context.corten_start(&["run", "--rm", "busybox", "echo", &number.to_string()])
        })
        .collect();
    for (number, command) in running.into_iter().enumerate() {
        let output = command.wait(testkit::command::LIMIT).expect("ends in time");
        assert_eq!(output.ok(), number.to_string());
    }
    context.assert_no_containers_left();
}
