//! A container's life, seen from the operations.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use engine::container::Spec;
use engine::container::spec::{Mount, NetworkMode, Propagation, Resources, Seccomp, Security};
use engine::ops::container as ops;
use engine::ops::container::create::Create;
use engine::ops::container::list::List;
use engine::ops::container::remove::Remove;
use engine::ops::container::stop::Stop;
use engine::ops::container::wait::Condition;

use crate::Test;
use crate::context::{Context, shell};

pub(crate) const TESTS: &[Test] = &[
    ("runs_to_its_exit_code_and_leaves_its_log", || block(runs)),
    ("gets_names_users_and_files_of_its_image", || {
        block(identity);
    }),
    ("a_start_writes_nothing_into_the_containers_layer", || {
        block(mount_points);
    }),
    ("is_confined_as_dockers_are", || block(confined)),
    ("programs_that_cannot_start_have_dockers_codes", || {
        block(failures);
    }),
    ("stops_dies_and_is_removed", || block(stops)),
    ("auto_remove_leaves_nothing", || block(auto_remove)),
    ("an_attached_client_sees_everything_from_the_start", || {
        block(attached);
    }),
    ("exec_runs_beside", || block(exec)),
    ("the_bridge_connects_and_addresses_come_back", || {
        block(bridged);
    }),
    ("names_conflict_and_are_renamed", || block(names)),
    ("binds_tmpfs_and_limits", || block(binds)),
    ("many_starts_take_milliseconds", || block(speed)),
];

/// Runs in a runtime of its own: when this returns, nothing of an engine goes on in this process.
pub(crate) fn block<T, F: Future<Output = T>>(test: impl FnOnce() -> F) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test())
}

async fn runs() {
    let context = Context::new().await;
    assert_eq!(
        context
            .output(shell("echo out; echo err >&2; exit 7"))
            .await,
        (7, "out\nerr\n".into())
    );
    context.finish().await;
}

async fn mount_points() {
    let context = Context::new().await;
    let script = "busybox test -f /.dockerenv && busybox readlink /etc/mtab && busybox grep -c . /etc/hostname";
    let id = context.create("", shell(script)).await;
    let waited = ops::wait(context.engine(), &id, Condition::NextExit).unwrap();
    ops::start(context.engine(), &id).await.unwrap();
    let code = waited.await.code;
    assert_eq!((code, &*context.logs(&id).await), (0, "/proc/mounts\n1\n"));
    let own = context.root().join("data/snapshots").join(&id).join("fs");
    assert_eq!(std::fs::read_dir(own).unwrap().count(), 0);
    context.finish().await;
}

async fn identity() {
    let context = Context::new().await;
    let spec = Spec {
        user: "www".into(),
        env: vec!["A=1".into()],
        working_dir: "/made/here".into(),
        group_add: vec!["50".into()],
        ..shell(
            "busybox id -u; busybox id -G; echo $HOME $A; pwd; busybox cat /etc/hostname; busybox hostname",
        )
    };
    let (code, text) = context.output(spec).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        (code, &lines[..4]),
        (0, &["33", "33 29 50", "/var/www 1", "/made/here"][..]),
        "{text}"
    );
    assert_eq!((lines[4].len(), lines[4]), (12, lines[5]));
    let unknown = Spec {
        user: "nope".into(),
        ..shell("true")
    };
    let id = context.create("", unknown).await;
    let error = ops::start(context.engine(), &id).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "unable to find user nope: no matching entries in passwd file"
    );
    context.finish().await;
}

async fn confined() {
    let context = Context::new().await;
    let script = "busybox grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; \
                  (echo x > /proc/sys/kernel/core_pattern) 2>/dev/null || echo ro; \
                  busybox wc -c < /proc/keys; busybox ls /sys/firmware | busybox wc -l; busybox ls /proc/self/fd | busybox wc -l";
    let (_, text) = context.output(shell(script)).await;
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let caps = "00000000a80425fb";
    let expect = [format!("CapEff: {caps}"), format!("CapBnd: {caps}")];
    for line in ["NoNewPrivs: 0", "Seccomp: 2", "ro", "0"] {
        assert!(lines.iter().any(|found| found == line), "{line} in {text}");
    }
    assert!(expect.iter().all(|line| lines.contains(line)), "{text}");
    let open = Security {
        seccomp: Seccomp::Unconfined,
        no_new_privileges: true,
        ..Security::default()
    };
    let (_, text) = context
        .output(Spec {
            security: open,
            ..shell("busybox grep -E 'Seccomp:|NoNew' /proc/self/status")
        })
        .await;
    assert_eq!(
        text.split_whitespace().collect::<Vec<_>>(),
        ["NoNewPrivs:", "1", "Seccomp:", "0"]
    );
    context.finish().await;
}

async fn failures() {
    let context = Context::new().await;
    for (program, code, end) in [
        (
            "nope",
            127,
            "exec: \"nope\": executable file not found in $PATH",
        ),
        (
            "/nope",
            127,
            "exec: \"/nope\": stat /nope: no such file or directory",
        ),
        ("/etc/plain", 126, "exec: \"/etc/plain\": permission denied"),
    ] {
        let spec = Spec {
            command: Some(vec![program.into()]),
            ..shell("")
        };
        let id = context.create("", spec).await;
        let error = ops::start(context.engine(), &id).await.unwrap_err();
        assert!(error.to_string().ends_with(end), "{error}");
        assert_eq!(error.kind(), stdx::ErrorKind::Invalid);
        let state = ops::inspect(context.engine(), &id).unwrap().1.state.clone();
        assert_eq!(
            (state.docker_status(), state.exit_code()),
            ("created", code)
        );
    }
    let none = Create {
        name: None,
        spec: Spec {
            image: "nope:1".into(),
            ..Spec::default()
        },
        platform: None,
        request: serde_json::Value::Null,
    };
    assert_eq!(
        ops::create(context.engine(), none)
            .await
            .unwrap_err()
            .to_string(),
        "No such image: nope:1"
    );
    context.finish().await;
}

async fn stops() {
    let context = Context::new().await;
    let engine = context.engine();
    let id = context
        .create(
            "web",
            shell("trap 'exit 3' TERM; echo ready; while true; do busybox sleep 0.05; done"),
        )
        .await;
    ops::start(engine, "web").await.unwrap();
    assert_eq!(
        ops::start(engine, "web").await.unwrap_err().kind(),
        stdx::ErrorKind::NotModified
    );
    while !context.logs(&id).await.contains("ready") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let running = ops::remove(engine, "web", Remove::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        running
            .contains("container is running: stop the container before removing or force remove"),
        "{running}"
    );
    ops::stop(engine, "web", Stop::default()).await.unwrap();
    let state = ops::inspect(engine, "web").unwrap().1.state.clone();
    assert_eq!((state.docker_status(), state.exit_code()), ("exited", 3));
    let again = ops::kill(engine, "web", None)
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        again,
        format!("cannot kill container: web: container {id} is not running")
    );
    ops::start(engine, "web").await.unwrap();
    let waited = ops::wait(engine, "web", Condition::NextExit).unwrap();
    ops::kill(engine, "web", None).await.unwrap();
    assert_eq!(waited.await.code, 137);
    ops::start(engine, "web").await.unwrap();
    ops::pause(engine, "web").await.unwrap();
    assert_eq!(
        ops::inspect(engine, "web").unwrap().1.state.docker_status(),
        "paused"
    );
    ops::unpause(engine, "web").await.unwrap();
    ops::remove(
        engine,
        "web",
        Remove {
            force: true,
            volumes: false,
        },
    )
    .await
    .unwrap();
    assert_eq!(
        ops::inspect(engine, "web").unwrap_err().to_string(),
        "No such container: web"
    );
    context.finish().await;
}

async fn auto_remove() {
    let context = Context::new().await;
    let engine = context.engine();
    let id = context
        .create(
            "gone",
            Spec {
                auto_remove: true,
                ..shell("exit 4")
            },
        )
        .await;
    let removed = ops::wait(engine, &id, Condition::Removed).unwrap();
    ops::start(engine, &id).await.unwrap();
    assert_eq!(removed.await.code, 4);
    assert!(engine.is_empty());
    context.finish().await;
}

/// What came on stdout and stderr; how it was cut into frames is nobody's promise.
pub(crate) fn streams(mut frames: &[u8]) -> [String; 2] {
    let mut texts = [String::new(), String::new()];
    while let [stream @ (1 | 2), 0, 0, 0, a, b, c, d, rest @ ..] = frames {
        let (text, more) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        texts[usize::from(*stream) - 1] += std::str::from_utf8(text).unwrap();
        frames = more;
    }
    assert!(frames.is_empty(), "{frames:?}");
    texts
}

async fn attached() {
    let context = Context::new().await;
    let engine = context.engine();
    let spec = Spec {
        open_stdin: true,
        stdin_once: true,
        ..shell("busybox cat; echo end >&2")
    };
    let id = context.create("", spec).await;
    let prepared = ops::attach::prepare(
        engine,
        &id,
        ops::attach::Attach {
            stdin: true,
            stdout: true,
            stderr: true,
            detach_keys: None,
        },
    );
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let prepared = prepared.unwrap();
    let waited = ops::wait(engine, &id, Condition::NextExit).unwrap();
    let (starting, reference) = (engine.clone(), id.clone());
    let started = tokio::spawn(async move { ops::start(&starting, &reference).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    prepared
        .connect(OwnedFd::from(theirs), b"early ".to_vec())
        .await
        .unwrap();
    started.await.unwrap().unwrap();
    let text = tokio::task::spawn_blocking(move || {
        ours.write_all(b"late\n").unwrap();
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        let mut bytes = Vec::new();
        ours.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let bytes = text.await.unwrap();
    assert_eq!(streams(&bytes), ["early late\n", "end\n"], "{bytes:?}");
    assert_eq!(waited.await.code, 0);
    context.finish().await;
}

async fn exec() {
    let context = Context::new().await;
    let engine = context.engine();
    let id = context.create("", shell("busybox sleep 100")).await;
    ops::start(engine, &id).await.unwrap();
    let run = |command: &'static str| {
        let (engine, id) = (engine.clone(), id.clone());
        async move {
            let create = ops::exec::Create {
                command: vec!["sh".into(), "-c".into(), command.into()],
                user: "www".into(),
                stdout: true,
                stderr: true,
                ..Default::default()
            };
            let exec = ops::exec::create(&engine, &id, create).await.unwrap();
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let prepared = ops::exec::prepare(&engine, &exec, ops::exec::Start::default()).unwrap();
            prepared
                .start(Some(theirs.into()), Vec::new())
                .await
                .unwrap();
            let bytes = tokio::task::spawn_blocking(move || {
                let mut bytes = Vec::new();
                ours.read_to_end(&mut bytes).unwrap();
                bytes
            });
            let bytes = bytes.await.unwrap();
            // Whoever saw the end of the stream is told the code at once.
            match ops::exec::inspect(&engine, &exec).await.unwrap().1 {
                ops::exec::Progress::Exited(code, pid) if pid > 0 => (code, bytes),
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(
        run("busybox id -u; exit 5").await,
        (5, b"\x01\0\0\0\0\0\0\x0333\n".to_vec())
    );
    let missing = ops::exec::Create {
        command: vec!["nope".into()],
        ..Default::default()
    };
    let exec = ops::exec::create(engine, &id, missing).await.unwrap();
    let prepared = ops::exec::prepare(
        engine,
        &exec,
        ops::exec::Start {
            detach: true,
            console_size: None,
        },
    )
    .unwrap();
    let error = prepared
        .start(None, Vec::new())
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "OCI runtime exec failed: exec failed: unable to start container process: exec: \"nope\": executable file not \
         found in $PATH"
    );
    assert!(matches!(
        ops::exec::inspect(engine, &exec).await.unwrap().1,
        ops::exec::Progress::Exited(127, _)
    ));
    context.finish().await;
}

async fn bridged() {
    let context = Context::new().await;
    let engine = context.engine();
    let spec = |script| Spec {
        network: NetworkMode::Bridge,
        ..shell(script)
    };
    let (code, text) = context
        .output(spec(
            "busybox ip -4 -o addr show eth0; busybox ip route; busybox cat /etc/hosts",
        ))
        .await;
    let gateway = engine.networks.default_bridge().unwrap().info().gateways[0].to_string();
    assert!(
        code == 0 && text.contains(&format!("default via {gateway}")),
        "{text}"
    );
    let first = context.create("", spec("busybox sleep 100")).await;
    ops::start(engine, &first).await.unwrap();
    let endpoint = ops::inspect(engine, &first).unwrap().1.endpoints[0].clone();
    assert_eq!(endpoint.gateway4.unwrap().to_string(), gateway);
    ops::remove(
        engine,
        &first,
        Remove {
            force: true,
            volumes: false,
        },
    )
    .await
    .unwrap();
    context.finish().await;
}

async fn names() {
    let context = Context::new().await;
    let engine = context.engine();
    let id = context.create("one", shell("true")).await;
    let again = Create {
        name: Some("/one".into()),
        spec: shell("true"),
        platform: None,
        request: serde_json::Value::Null,
    };
    let error = ops::create(engine, again).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!(
        "Conflict. The container name \"/one\" is already in use by container \"{id}\"."
    )));
    let two = context.create("two", shell("true")).await;
    assert!(ops::rename(engine, "one", "two").await.is_err());
    ops::rename(engine, "one", "three").await.unwrap();
    assert_eq!(ops::inspect(engine, "three").unwrap().0.id, id);
    assert_eq!(ops::inspect(engine, &two[..12]).unwrap().0.id, two);
    let all = ops::list(
        engine,
        &List {
            all: true,
            ..List::default()
        },
    )
    .unwrap();
    assert_eq!(
        all.iter().map(|now| now.name.as_str()).collect::<Vec<_>>(),
        ["two", "three"]
    );
    assert!(ops::list(engine, &List::default()).unwrap().is_empty());
    context.finish().await;
}

async fn binds() {
    let context = Context::new().await;
    let source = context.root().join("made");
    let bind = Mount::Bind {
        source: source.clone(),
        target: "/data".into(),
        read_only: false,
        recursive_read_only: false,
        create_source: true,
        non_recursive: false,
        propagation: Propagation::default(),
    };
    let tmpfs = Mount::Tmpfs {
        target: "/scratch".into(),
        options: vec!["size=1m".into()],
    };
    let spec = Spec {
        mounts: vec![bind, tmpfs],
        read_only: true,
        resources: Resources {
            memory: Some(32 << 20),
            pids_limit: Some(50),
            ..Resources::default()
        },
        ..shell(
            "echo hi > /data/file; echo x > /scratch/x && echo tmp; (echo x > /x) 2>/dev/null || echo ro",
        )
    };
    assert_eq!(context.output(spec).await, (0, "tmp\nro\n".into()));
    assert_eq!(
        std::fs::read_to_string(source.join("file")).unwrap(),
        "hi\n"
    );
    context.finish().await;
}

async fn speed() {
    let context = Context::new().await;
    let mut times = Vec::new();
    for round in 0..20 {
        let begun = Instant::now();
        let spec = Spec {
            auto_remove: true,
            network: NetworkMode::Bridge,
            ..shell("exit 0")
        };
        let id = context.create("", spec).await;
        let created = begun.elapsed();
        let removed = ops::wait(context.engine(), &id, Condition::Removed).unwrap();
        ops::start(context.engine(), &id).await.unwrap();
        let started = begun.elapsed();
        removed.await;
        times.push(begun.elapsed());
        if round % 5 == 0 {
            println!(
                "  created {created:?}, started {started:?}, removed {:?}",
                begun.elapsed()
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    times.sort();
    println!("  median of a run: {:?}", times[times.len() / 2]);
    context.finish().await;
}
