//! Its beginning and its end.

use std::time::Duration;

use netd::client::Client;
use netd::protocol::{Port, Protocol, Reply, Request};
use sys::inet;
use sys::poll::{Interest, Poll};

use crate::Netd;

fn hold(netd: &Netd) {
    let socket = inet::listen_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = Port {
        protocol: Protocol::Tcp,
        target: "127.0.0.1:1".parse().unwrap(),
    };
    netd.done(
        &Request::Publish {
            container: "c".to_owned(),
            ports: vec![port],
        },
        &[socket],
    );
}

pub(crate) fn is_adopted_and_retired() {
    let netd = Netd::start();
    hold(&netd);
    let second = Client::adopt(netd.directory.path()).expect("it listens");
    let Reply::State(held) = second.call(&Request::State, &[]).unwrap() else {
        panic!("a state was asked for");
    };
    assert_eq!((held.len(), held[0].ports), (1, 1));
    second.call(&Request::Retire, &[]).unwrap();
    let mut poll = Poll::new();
    poll.add(second.process(), Interest::Read);
    assert_eq!(poll.wait(Some(Duration::from_secs(10))).unwrap(), 1);
    assert!(Client::adopt(netd.directory.path()).is_none());
}

pub(crate) fn goes_away_without_work() {
    let netd = Netd::start();
    hold(&netd);
    netd.done(
        &Request::Forget {
            container: "c".to_owned(),
        },
        &[],
    );
    let mut poll = Poll::new();
    poll.add(netd.client().process(), Interest::Read);
    assert_eq!(poll.wait(Some(Duration::from_secs(10))).unwrap(), 1);
}
