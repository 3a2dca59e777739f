//! Which ports are taken, and in whose words it is said.

use std::os::fd::AsFd;

use sys::inet;

use super::*;

fn request(text: &str, ports: Option<(u16, u16)>) -> PortRequest {
    PortRequest {
        container: 80,
        protocol: Protocol::Tcp,
        host: (!text.is_empty()).then(|| text.parse().unwrap()),
        ports,
    }
}

const TARGET: Target = Target {
    v4: Some(Ipv4Addr::new(172, 17, 0, 2)),
    v6: None,
    routed: [false; 2],
};

#[test]
fn a_random_port_is_the_same_for_both_families() {
    let Ok(bound) = bind(&request("", None), TARGET) else {
        panic!("a random port is free");
    };
    assert!(bound.iter().all(|(port, _)| port.port == bound[0].0.port));
    assert!(bound[0].0.host.is_ipv4());
}

#[test]
fn of_a_range_the_first_free_one_is_taken() {
    let taken = inet::listen_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let first = inet::local_address(taken.as_fd()).unwrap().port();
    let last = first.saturating_add(20);
    let Ok(bound) = bind(&request("127.0.0.1", Some((first, last))), TARGET) else {
        panic!("one of twenty is free");
    };
    assert!(bound[0].0.port > first);
}

#[test]
fn who_has_the_port_is_said_in_dockers_words() {
    let taken = inet::listen_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = inet::local_address(taken.as_fd()).unwrap().port();
    let refused =
        || bind(&request("127.0.0.1", Some((port, port))), TARGET).expect_err("it is taken");
    let mut state = State::default();
    assert_eq!(
        state.explain(refused()).to_string(),
        format!(
            "failed to bind host port for 127.0.0.1:{port}:172.17.0.2:80/tcp: address already in use"
        )
    );
    let ours = Port {
        container: 80,
        protocol: Protocol::Tcp,
        host: "0.0.0.0".parse().unwrap(),
        port,
    };
    state.held.insert("c".into(), (TARGET, vec![ours]));
    assert_eq!(
        state.explain(refused()).to_string(),
        format!("Bind for 127.0.0.1:{port} failed: port is already allocated")
    );
}
