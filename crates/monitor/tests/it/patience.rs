//! Those who hold a monitor up, and how long they may.

use std::time::Duration;

use monitor::logfile::Stream;
use monitor::protocol::{Reply, Request, Stdio};

use crate::fixture::{Container, expect, frames, until, wish};

pub(crate) const ALL: &[testkit::harness::Test] = &[
    (
        "an_exec_that_the_container_stops_fails_and_holds_nothing_up",
        an_exec_that_the_container_stops_fails_and_holds_nothing_up,
    ),
    (
        "clients_that_read_late_get_everything_and_nobody_else_waits",
        clients_that_read_late_get_everything_and_nobody_else_waits,
    ),
];

/// More than was ever waited.
const LATE: Duration = Duration::from_secs(12);

fn an_exec_that_the_container_stops_fails_and_holds_nothing_up() {
    let script = "trap 'echo heard' USR1; echo ready; while :; do kill -STOP -1; done 2>&-";
    let mut container = Container::create(&wish(script));
    let mut client = container.attach(false);
    container.start();
    expect(&mut client, "ready");
    // One may come to its program between two signals.
    let mut held_up = (0..100).filter_map(|number| {
        let (reply, _) = container.exec(&number.to_string(), "true", Stdio::default());
        match reply {
            Reply::Started { .. } => None,
            Reply::Failed(failure) => Some(failure),
            other => panic!("{other:?}"),
        }
    });
    let failure = held_up.next().expect("one is held up");
    assert!(failure.message.contains("held up"), "{failure:?}");
    signal(&mut container, 10);
    expect(&mut client, "heard");
    signal(&mut container, 9);
    assert_eq!(container.exited().code, 137);
}

fn clients_that_read_late_get_everything_and_nobody_else_waits() {
    let mut container = Container::create(&wish("seq 1 1000000"));
    let mut client = container.attach(false);
    container.start();
    // More than a socket takes, less than what may wait in all.
    let (_, mut other) = container.exec("a", "seq 1 35200", Stdio::default());
    assert_eq!(container.exec_exit("a"), 0);
    signal(&mut container, 9);
    assert_eq!(container.announced().code, 137);
    until("the next run has its place", || {
        !container.path("monitor.sock").exists()
    });
    std::thread::sleep(LATE);
    assert!(frames(&mut client).0 == container.log(Stream::Stdout));
    let lines: String = (1..=35_200)
        .map(|number| number.to_string() + "\n")
        .collect();
    assert!(frames(&mut other).0 == lines);
    container.assert_nothing_left();
}

fn signal(container: &mut Container, signal: i32) {
    let request = Request::Signal { signal, all: false };
    assert!(matches!(container.call(request, None), Reply::Done));
}
