//! What a container's users see.

use std::io::Read;
use std::net::Shutdown;

use monitor::logfile::Stream;
use monitor::protocol::{Reply, Request, Stage, Stdio};
use sys::socket::SeqPacket;

use crate::fixture::{Container, Wish, expect, frames, type_in, until, wish};

pub(crate) const ALL: &[testkit::harness::Test] = &[
    (
        "output_is_logged_and_the_exit_code_recorded",
        output_is_logged_and_the_exit_code_recorded,
    ),
    ("a_client_gets_both_streams", a_client_gets_both_streams),
    ("input_ends_with_its_client", input_ends_with_its_client),
    ("much_output_is_complete", much_output_is_complete),
    ("a_terminal", a_terminal),
    ("execs", execs),
    ("an_exec_in_a_terminal", an_exec_in_a_terminal),
    ("signals_and_exit_codes", signals_and_exit_codes),
    ("programs_that_cannot_run", programs_that_cannot_run),
    ("pause_and_resume", pause_and_resume),
    ("want_of_memory_is_told", want_of_memory_is_told),
    (
        "a_killed_monitor_takes_its_container_along",
        a_killed_monitor_takes_its_container_along,
    ),
    ("sigterm_is_ignored", sigterm_is_ignored),
    (
        "a_second_engine_finds_the_container",
        a_second_engine_finds_the_container,
    ),
    (
        "background_processes_with_host_pids_are_killed",
        background_processes_with_host_pids_are_killed,
    ),
    (
        "a_container_that_is_never_started",
        a_container_that_is_never_started,
    ),
    ("private_memory_stays_small", private_memory_stays_small),
    ("a_start_is_quick", a_start_is_quick),
];

fn open_stdin() -> Stdio {
    Stdio {
        open_stdin: true,
        stdin_once: true,
        ..Stdio::default()
    }
}

fn terminal() -> Stdio {
    Stdio {
        tty: true,
        open_stdin: true,
        console_size: Some((7, 77)),
        ..Stdio::default()
    }
}

fn output_is_logged_and_the_exit_code_recorded() {
    let mut container = Container::run(&wish("echo out; echo err >&2; printf rest; exit 3"));
    let exit = container.exited();
    assert_eq!((exit.code, exit.oom_killed), (3, false));
    assert!(0 < exit.started_at && exit.started_at <= exit.finished_at);
    assert_eq!(container.log(Stream::Stdout), "out\nrest");
    assert_eq!(container.log(Stream::Stderr), "err\n");
}

fn a_client_gets_both_streams() {
    let mut container = Container::create(&wish("echo out; echo err >&2"));
    let (mut first, mut second) = (container.attach(false), container.attach(false));
    container.start();
    for client in [&mut first, &mut second] {
        assert_eq!(frames(client), ("out\n".to_owned(), "err\n".to_owned()));
    }
    assert_eq!(container.exited().code, 0);
}

fn input_ends_with_its_client() {
    let mut container = Container::create(&Wish {
        stdio: open_stdin(),
        ..wish("cat; echo end")
    });
    let mut client = container.attach(true);
    container.start();
    let text = "0123456789".repeat(50_000);
    let sender = client.try_clone().unwrap();
    let sent = text.clone();
    let thread = std::thread::spawn(move || {
        let mut sender = sender;
        type_in(&mut sender, &sent);
        sender.shutdown(Shutdown::Write).unwrap();
    });
    assert_eq!(frames(&mut client).0, text + "end\n");
    thread.join().unwrap();
    assert_eq!(container.exited().code, 0);
}

fn much_output_is_complete() {
    let mut container = Container::create(&wish("seq 1 200000"));
    let mut client = container.attach(false);
    container.start();
    std::thread::sleep(std::time::Duration::from_millis(100));
    let expect = (1..=200_000)
        .map(|number| number.to_string() + "\n")
        .collect::<String>();
    assert!(frames(&mut client).0 == expect);
    assert_eq!(container.exited().code, 0);
    assert!(container.log(Stream::Stdout) == expect);
}

fn a_terminal() {
    let mut container = Container::create(&Wish {
        stdio: terminal(),
        ..wish("stty size; sh; echo bye")
    });
    let mut client = container.attach(true);
    container.start();
    expect(&mut client, "7 77\r\n");
    type_in(&mut client, "echo $((6*7))\n");
    expect(&mut client, "42\r\n");
    let resize = Request::Resize {
        exec: None,
        rows: 9,
        columns: 99,
    };
    assert!(matches!(container.call(resize, None), Reply::Done));
    type_in(&mut client, "stty size\n");
    expect(&mut client, "9 99\r\n");
    type_in(&mut client, "\x10\x11");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    let mut again = container.attach(true);
    type_in(&mut again, "exit\n");
    expect(&mut again, "bye\r\n");
    assert_eq!(container.exited().code, 0);
    assert!(container.log(Stream::Stdout).contains("42\r\n"));
}

fn execs() {
    let mut container = Container::run(&wish("sleep 1000"));
    let (reply, mut client) =
        container.exec("a", "echo out; echo err >&2; exit 4", Stdio::default());
    assert!(matches!(reply, Reply::Started { .. }), "{reply:?}");
    assert_eq!(
        frames(&mut client),
        ("out\n".to_owned(), "err\n".to_owned())
    );
    assert_eq!(container.exec_exit("a"), 4);
    let (_, mut client) = container.exec(
        "b",
        "cat; echo end",
        Stdio {
            open_stdin: true,
            ..Stdio::default()
        },
    );
    type_in(&mut client, "hello ");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(frames(&mut client).0, "hello end\n");
    assert_eq!(container.exec_exit("b"), 0);
    for (program, stage) in [
        ("/bin/none", Stage::NotFound),
        ("/bin/text", Stage::NotExecutable),
    ] {
        let process = runtime::plan::Process {
            args: vec![program.to_owned()],
            cwd: "/".to_owned(),
            env: vec!["PATH=/bin".to_owned()],
            ..Default::default()
        };
        let (reply, _) = container.exec_process("c", process, Stdio::default());
        assert!(
            matches!(&reply, Reply::Failed(failure) if failure.stage == stage),
            "{reply:?}"
        );
    }
    // What is still running ends with the container, its client too.
    let (reply, mut client) = container.exec("d", "echo ready; sleep 1000", Stdio::default());
    let Reply::Started { pid } = reply else {
        panic!("{reply:?}")
    };
    let Reply::State { execs, started, .. } = container.call(Request::State, None) else {
        panic!()
    };
    assert!(started);
    assert_eq!(execs, [("d".to_owned(), pid)]);
    let mut ready = [0; 8 + "ready\n".len()];
    client.read_exact(&mut ready).unwrap();
    assert!(ready.ends_with(b"ready\n"));
    container.call(
        Request::Signal {
            signal: 9,
            all: true,
        },
        None,
    );
    assert_eq!(frames(&mut client).0, "");
    assert_eq!(container.exited().code, 137);
}

fn an_exec_in_a_terminal() {
    let mut container = Container::run(&wish("sleep 1000"));
    let (reply, mut client) = container.exec("a", "stty size; cat", terminal());
    assert!(matches!(reply, Reply::Started { .. }), "{reply:?}");
    expect(&mut client, "7 77\r\n");
    let resize = Request::Resize {
        exec: Some("a".to_owned()),
        rows: 9,
        columns: 99,
    };
    assert!(matches!(container.call(resize, None), Reply::Done));
    type_in(&mut client, "x\n\x04");
    expect(&mut client, "x\r\nx\r\n");
    assert_eq!(container.exec_exit("a"), 0);
    container.call(
        Request::Signal {
            signal: 9,
            all: false,
        },
        None,
    );
    assert_eq!(container.exited().code, 137);
}

fn signals_and_exit_codes() {
    let script = "trap 'exit 7' TERM; echo ready; while true; do sleep 0.05; done";
    let mut container = Container::create(&wish(script));
    let mut client = container.attach(false);
    container.start();
    expect(&mut client, "ready");
    container.call(
        Request::Signal {
            signal: 15,
            all: false,
        },
        None,
    );
    assert_eq!(container.exited().code, 7);
    let mut container = Container::run(&wish("kill -SEGV $$; sleep 1000"));
    container.call(
        Request::Signal {
            signal: 9,
            all: false,
        },
        None,
    );
    assert_eq!(container.exited().code, 137);
}

fn programs_that_cannot_run() {
    for (program, stage) in [
        ("/bin/none", Stage::NotFound),
        ("/bin/text", Stage::NotExecutable),
    ] {
        let wish = Wish {
            program: Some(vec![program.to_owned()]),
            ..wish("")
        };
        let failure = match Container::try_create(&wish) {
            Err(failure) => failure,
            Ok(mut container) => {
                let Reply::Failed(failure) = container.call(Request::Start, None) else {
                    panic!()
                };
                container.assert_nothing_left();
                assert!(!container.path("exit.json").exists());
                failure
            }
        };
        assert_eq!(failure.stage, stage, "{failure:?}");
    }
}

fn pause_and_resume() {
    let mut container = Container::run(&wish("while true; do sleep 0.01; done"));
    let paused = |container: &mut Container| match container.call(Request::State, None) {
        Reply::State { paused, .. } => paused,
        other => panic!("{other:?}"),
    };
    let reply = container.call(Request::Pause, None);
    assert!(matches!(reply, Reply::Done), "{reply:?}");
    assert!(paused(&mut container));
    let (reply, _) = container.exec("a", "true", Stdio::default());
    assert!(matches!(reply, Reply::Failed(_)), "{reply:?}");
    assert!(matches!(container.call(Request::Resume, None), Reply::Done));
    assert!(!paused(&mut container));
    container.call(
        Request::Signal {
            signal: 9,
            all: true,
        },
        None,
    );
    assert_eq!(container.exited().code, 137);
}

fn want_of_memory_is_told() {
    let wish = Wish {
        memory: Some(8 << 20),
        ..wish("exec dd if=/dev/zero of=/dev/null bs=100M count=1")
    };
    let mut container = Container::run(&wish);
    let exit = container.exited();
    assert_eq!(
        (exit.code, exit.oom_killed),
        (137, true),
        "{}",
        container.log(Stream::Stderr)
    );
}

fn a_killed_monitor_takes_its_container_along() {
    let mut container = Container::run(&wish("sleep 1000 & sleep 1000"));
    until("both sleep", || container.processes().len() >= 2);
    let (reply, _client) = container.exec("a", "sleep 1000", Stdio::default());
    assert!(matches!(reply, Reply::Started { .. }), "{reply:?}");
    sys::process::kill(container.monitor.pid, 9).unwrap();
    container.buried();
    assert!(!container.path("exit.json").exists());
}

fn sigterm_is_ignored() {
    let mut container = Container::run(&wish("sleep 1000"));
    for signal in [1, 2, 15] {
        sys::process::kill(container.monitor.pid, signal).unwrap();
    }
    assert!(matches!(
        container.call(Request::State, None),
        Reply::State { .. }
    ));
    container.call(
        Request::Signal {
            signal: 9,
            all: false,
        },
        None,
    );
    assert_eq!(container.exited().code, 137);
}

fn a_second_engine_finds_the_container() {
    let mut container = Container::run(&Wish {
        stdio: open_stdin(),
        ..wish("cat; exit 5")
    });
    let mut client = container.attach(true);
    let pid: i32 = std::fs::read_to_string(container.path("monitor.pid"))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(pid, container.monitor.pid);
    container.control = SeqPacket::connect(&container.path("monitor.sock")).unwrap();
    assert!(matches!(
        container.call(Request::State, None),
        Reply::State { started: true, .. }
    ));
    // The client outlives the engine that brought it.
    type_in(&mut client, "still here");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(frames(&mut client).0, "still here");
    assert_eq!(container.exited().code, 5);
}

fn background_processes_with_host_pids_are_killed() {
    let wish = Wish {
        host_pids: true,
        ..wish("sleep 1000 & exit 6")
    };
    let begun = std::time::Instant::now();
    let mut container = Container::run(&wish);
    assert_eq!(container.exited().code, 6);
    assert!(begun.elapsed().as_secs() < 2);
    assert!(container.processes().is_empty());
}

fn a_container_that_is_never_started() {
    let mut container = Container::create(&wish("true"));
    container.call(
        Request::Signal {
            signal: 9,
            all: false,
        },
        None,
    );
    let exit = container.exited();
    assert_eq!((exit.code, exit.started_at), (137, 0));
    // Without any engine it waits for one.
    let mut container = Container::create(&wish("exit 8"));
    container.control = SeqPacket::connect(&container.path("monitor.sock")).unwrap();
    container.start();
    assert_eq!(container.exited().code, 8);
    assert!(
        !matches!(Container::try_create(&wish("true")), Err(failure) if failure.stage == Stage::Setup)
    );
}

fn private_memory(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("Private_Clean") || line.starts_with("Private_Dirty"));
    lines
        .map(|line| {
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum()
}

fn private_memory_stays_small() {
    // A second one, with which the program's text is shared: alone it would count as private.
    let mut other = Container::run(&wish("echo x; sleep 1000"));
    let (_, mut client) = other.exec("a", "echo x", Stdio::default());
    frames(&mut client);
    other.exec_exit("a");
    let mut container = Container::run(&wish("sleep 1000"));
    let monitor = container.monitor.pid;
    let quiet = private_memory(monitor);
    let (_, mut client) = container.exec("a", "yes | head -c 50000000", Stdio::default());
    let mut buffer = vec![0; 1 << 20];
    while client.read(&mut buffer).unwrap() > 0 {}
    container.exec_exit("a");
    until("memory is given back", || private_memory(monitor) <= 150);
    println!(
        "private memory: {quiet} KiB at first, {} KiB after an exec",
        private_memory(monitor)
    );
    assert!(quiet <= 150, "{quiet} KiB");
    for mut container in [container, other] {
        container.call(
            Request::Signal {
                signal: 9,
                all: false,
            },
            None,
        );
        container.exited();
    }
}

/// Prints medians; the bound is for machines under load.
fn a_start_is_quick() {
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..30 {
        let begun = std::time::Instant::now();
        let mut container = Container::create(&Wish {
            program: Some(vec!["/bin/true".to_owned()]),
            ..wish("")
        });
        times[0].push(begun.elapsed());
        container.start();
        times[1].push(begun.elapsed());
        container.exited();
        times[2].push(begun.elapsed());
    }
    let medians = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    println!(
        "created, started, ended and cleared after: {medians:?} (the root file system's making included)"
    );
    assert!(medians[1].as_millis() < 500);
}
