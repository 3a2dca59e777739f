//! A daemon that dies, and the next one.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use engine::Engine;
use engine::container::Spec;
use engine::container::spec::NetworkMode;
use engine::ops::container as ops;
use engine::ops::container::attach::Attach;
use engine::ops::container::list::List;
use engine::ops::container::remove::Remove;
use engine::ops::container::wait::Condition;
use engine::ops::network as networks;
use network::{Create, Driver, Pool, Settings};
use testkit::harness::promised;

use crate::Test;
use crate::containers::{block, streams};
use crate::context::{Context, config, create, shell};

pub(crate) const TESTS: &[Test] = &[
    (
        "running_containers_are_found_again_and_ends_are_not_lost",
        restart,
    ),
    (
        "an_address_is_free_when_its_container_ended_while_no_daemon_ran",
        freed_address,
    ),
    (
        "a_client_that_reads_late_keeps_nobody_waiting_and_gets_everything",
        late_reader,
    ),
    ("a_killed_monitor_ends_its_container_and_no_other", || {
        block(killed_monitor);
    }),
    (
        "monitors_that_wait_are_replaced_when_killed_and_end_with_their_engine",
        || block(waiting_monitors),
    ),
    ("a_crash_at_any_step_leaves_all_or_nothing", crashes),
];

fn restart() {
    let (directory, pid) = block(|| async {
        let context = Context::new().await;
        let long = context.create("long", shell("busybox sleep 100")).await;
        let short = context
            .create("short", shell("busybox sleep 0.5; exit 9"))
            .await;
        let removed = context
            .create(
                "removed",
                Spec {
                    auto_remove: true,
                    ..shell("busybox sleep 0.5")
                },
            )
            .await;
        for id in [&long, &short, &removed] {
            ops::start(context.engine(), id).await.unwrap();
        }
        let pid = ops::inspect(context.engine(), &long).unwrap().1.state.pid();
        (context.abandon(), pid)
    });
    std::thread::sleep(Duration::from_millis(900));
    block(|| async {
        let begun = Instant::now();
        let context = Context::open(directory).await;
        assert!(
            begun.elapsed() < promised(Duration::from_secs(1)),
            "took {:?}",
            begun.elapsed()
        );
        let engine = context.engine();
        let state = ops::inspect(engine, "long").unwrap().1.state.clone();
        assert_eq!((state.docker_status(), state.pid()), ("running", pid));
        assert_eq!(
            ops::inspect(engine, "short").unwrap().1.state.exit_code(),
            9
        );
        assert!(ops::inspect(engine, "removed").is_err());
        let waited = ops::wait(engine, "long", Condition::NextExit).unwrap();
        ops::kill(engine, "long", None).await.unwrap();
        assert_eq!(waited.await.code, 137);
        context.finish().await;
    });
}

fn freed_address() {
    let address: Ipv4Addr = "10.217.252.5".parse().unwrap();
    let directory = block(|| async {
        let context = Context::new().await;
        let engine = context.engine();
        let pool = Pool {
            subnet: "10.217.252.0/24".parse().unwrap(),
            range: None,
            gateway: None,
            auxiliary: BTreeMap::new(),
            by_user: true,
        };
        let red = Create {
            pools: vec![pool],
            ..red()
        };
        networks::create(engine, red).await.unwrap();
        let spec = Spec {
            network: NetworkMode::Network("red".to_owned()),
            endpoints: BTreeMap::from([(
                "red".to_owned(),
                Settings {
                    ipv4: Some(address),
                    ..Settings::default()
                },
            )]),
            ..shell("busybox sleep 0.3")
        };
        let id = context.create("db", spec).await;
        ops::start(engine, &id).await.unwrap();
        context.abandon()
    });
    std::thread::sleep(promised(Duration::from_millis(900)));
    block(|| async {
        let context = Context::open(directory).await;
        let engine = context.engine();
        let state = ops::inspect(engine, "db").unwrap().1.state.clone();
        assert_eq!(state.docker_status(), "exited");
        ops::start(engine, "db").await.unwrap();
        let place = ops::inspect(engine, "db").unwrap().1.endpoints[0].clone();
        assert_eq!(place.ipv4.unwrap().addr(), address);
        context.finish().await;
    });
}

fn late_reader() {
    let (mut client, directory) = block(|| async {
        let context = Context::new().await;
        let engine = context.engine();
        // More than a socket takes, less than what may wait in all.
        let id = context.create("late", shell("busybox seq 1 35200")).await;
        let wanted = Attach {
            stdout: true,
            ..Attach::default()
        };
        let prepared = ops::attach::prepare(engine, &id, wanted).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let connected = prepared.connect(OwnedFd::from(theirs), Vec::new());
        connected.await.unwrap();
        for _ in 0..2 {
            let begun = Instant::now();
            let waited = ops::wait(engine, &id, Condition::NextExit).unwrap();
            ops::start(engine, &id).await.unwrap();
            assert_eq!(waited.await.code, 0);
            assert!(begun.elapsed() < promised(Duration::from_secs(2)));
        }
        // What cleans up behind the second run is not what is cut off here.
        tokio::time::sleep(Duration::from_millis(100)).await;
        (ours, context.abandon())
    });
    block(|| async {
        let context = Context::open(directory).await;
        let state = ops::inspect(context.engine(), "late")
            .unwrap()
            .1
            .state
            .clone();
        assert_eq!((state.docker_status(), state.exit_code()), ("exited", 0));
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).unwrap();
        let lines: String = (1..=35_200)
            .map(|number| number.to_string() + "\n")
            .collect();
        assert!(streams(&bytes) == [lines, String::new()]);
        context.finish().await;
    });
}

async fn killed_monitor() {
    let context = Context::new().await;
    let engine = context.engine();
    let (one, other) = (
        context.create("one", shell("busybox sleep 100")).await,
        context.create("other", shell("busybox sleep 100")).await,
    );
    ops::start(engine, &one).await.unwrap();
    ops::start(engine, &other).await.unwrap();
    let pid_file = engine.config.run_dir(&one).join("monitor.pid");
    let monitor: i32 = std::fs::read_to_string(pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let waited = ops::wait(engine, &one, Condition::NextExit).unwrap();
    sys::process::kill(monitor, 9).unwrap();
    let waited = waited.await;
    assert_ne!(waited.code, 0);
    assert!(waited.error.is_some());
    assert!(ops::inspect(engine, &other).unwrap().1.state.is_running());
    context.finish().await;
}

async fn waiting_monitors() {
    let context = Context::new().await;
    let engine = context.engine();
    let some = || eventually(|| !waiting(engine).is_empty());
    some().await;
    for pid in waiting(engine) {
        let process = sys::process::PidFd::open(pid).unwrap();
        process.send_signal(9).unwrap();
        // One that has not yet ended would still take what it is given.
        assert!(process.ends_within(Duration::from_secs(5)).unwrap());
    }
    let (code, text) = context.output(shell("echo hi")).await;
    assert_eq!((code, text.as_str()), (0, "hi\n"));
    some().await;
    engine.close().await;
    eventually(|| waiting(engine).is_empty()).await;
    context.finish().await;
}

/// Monitors that have no container.
fn waiting(engine: &Engine) -> Vec<i32> {
    let group = format!("{}/monitors", engine.config.cgroup_parent);
    let mut found = Vec::new();
    for (directory, _) in engine.host.group_dirs(&group) {
        let processes = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        found.extend(processes.lines().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    found.sort_unstable();
    found.dedup();
    found.retain(|pid| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.starts_with(b"corten\0standby"))
    });
    found
}

async fn eventually(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn crashes() {
    let program = std::env::current_exe().unwrap();
    for step in engine::steps::ALL {
        let directory = block(|| async { Context::new().await.abandon() });
        let status = std::process::Command::new(&program)
            .arg("crash")
            .arg(step)
            .arg(directory.path())
            .status()
            .unwrap();
        assert!(!status.success(), "{step} was not reached");
        block(|| after(step, directory));
    }
}

async fn after(step: &str, directory: tempfile::TempDir) {
    let context = Context::open(directory).await;
    let engine = context.engine();
    if step == "stop.signalled" {
        // It was told to end, and does so in its own time.
        let ended = ops::wait(engine, "web", Condition::NotRunning).unwrap();
        ended.await;
    }
    let found = ops::list(
        engine,
        &List {
            all: true,
            ..List::default()
        },
    )
    .unwrap();
    for now in &found {
        let expect = match step {
            step if step.starts_with("create") => &["created"][..],
            // It was asked for already: the monitor may have come to that.
            "start.created" => &["created", "running", "exited"],
            "start.started" | "start.running" | "start.recorded" => &["running", "exited"],
            step if step.contains("connect.") => &["running", "exited"],
            step if step.starts_with("start") => &["created"],
            _ => &["exited"],
        };
        assert!(
            expect.contains(&now.state.docker_status()),
            "{step}: {:?}",
            now.state
        );
        if now.state.is_running() {
            assert_eq!(
                now.attachments.len(),
                now.endpoints.len(),
                "{step}: {now:?}"
            );
            for endpoint in &now.endpoints {
                assert!(
                    engine.networks.is_plugged(None, endpoint),
                    "{step}: {endpoint:?}"
                );
            }
            let out = now.endpoints.iter().max_by_key(|one| one.priority);
            assert_eq!(
                default_route(now.state.pid()),
                out.map(|endpoint| endpoint.interface.clone()),
                "{step}: {now:?}"
            );
            ops::kill(engine, now.id(), None).await.unwrap();
        }
        ops::start(engine, now.id()).await.unwrap();
        ops::remove(
            engine,
            now.id(),
            Remove {
                force: true,
                volumes: false,
            },
        )
        .await
        .unwrap();
    }
    if engine.networks.find("red").is_ok() {
        networks::remove(engine, "red").await.unwrap();
    }
    let without = [
        "create.named",
        "create.prepared",
        "create.directory",
        "remove.marked",
        "remove.snapshot",
        "remove.directory",
    ];
    assert_eq!(
        found.len(),
        usize::from(!without.contains(&step)),
        "{step}: {found:?}"
    );
    let id = create(engine, "web", shell("true")).await;
    ops::remove(engine, &id, Remove::default()).await.unwrap();
    context.finish().await;
}

/// The interface that the default route of a process leads through.
fn default_route(pid: i32) -> Option<String> {
    let routes = std::fs::read_to_string(format!("/proc/{pid}/net/route")).unwrap();
    let mut fields = routes.lines().map(|line| line.split('\t'));
    fields.find_map(|mut line| {
        let interface = line.next()?;
        (line.next()? == "00000000").then(|| interface.to_owned())
    })
}

/// A network of one's own.
fn red() -> Create {
    Create {
        name: "red".into(),
        driver: Driver::Bridge,
        internal: false,
        attachable: false,
        enable_ipv4: true,
        enable_ipv6: Some(false),
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        ipam_options: BTreeMap::new(),
        pools: Vec::new(),
        config_only: false,
        config_from: String::new(),
    }
}

/// In a process of its own: a container's whole life, cut off at a step.
pub(crate) fn crash(step: &str, root: &Path) {
    let mut config = config(root);
    config.fail_at = Some(step.to_owned());
    block(|| async move {
        let engine = Engine::open(config).await.unwrap();
        let id = create(
            &engine,
            "web",
            Spec {
                network: NetworkMode::Bridge,
                ..shell("trap 'exit 3' TERM; while true; do busybox sleep 0.05; done")
            },
        )
        .await;
        ops::start(&engine, &id).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let red = networks::create(&engine, red()).await.unwrap();
        let settings = Settings {
            gateway_priority: 1,
            ..Settings::default()
        };
        networks::connect(&engine, &red, &id, settings)
            .await
            .unwrap();
        networks::disconnect(&engine, "red", &id).await.unwrap();
        networks::remove(&engine, "red").await.unwrap();
        ops::stop(&engine, &id, ops::stop::Stop::default())
            .await
            .unwrap();
        ops::remove(&engine, &id, Remove::default()).await.unwrap();
    });
}
