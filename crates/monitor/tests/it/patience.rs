//! Those who hold a monitor up, and how long they may.

use monitor::protocol::{Reply, Request, Stdio};

use crate::fixture::{Container, expect, wish};

pub(crate) const ALL: &[testkit::harness::Test] = &[(
    "an_exec_that_the_container_stops_fails_and_holds_nothing_up",
    an_exec_that_the_container_stops_fails_and_holds_nothing_up,
)];

fn an_exec_that_the_container_stops_fails_and_holds_nothing_up() {
    let script = "trap 'echo heard' USR1; echo ready; while :; do kill -STOP -1; done 2>&-";
    let mut container = Container::create(&wish(script));
    let mut client = container.attach(false);
    container.start();
    expect(&mut client, "ready");
    let (reply, _) = container.exec("a", "true", Stdio::default());
    let Reply::Failed(failure) = reply else {
        panic!("{reply:?}")
    };
    assert!(failure.message.contains("held up"), "{failure:?}");
    signal(&mut container, 10);
    expect(&mut client, "heard");
    signal(&mut container, 9);
    assert_eq!(container.exited().code, 137);
}

fn signal(container: &mut Container, signal: i32) {
    let request = Request::Signal { signal, all: false };
    assert!(matches!(container.call(request, None), Reply::Done));
}
