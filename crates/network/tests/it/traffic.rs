//! Who reaches whom.

use std::os::fd::AsFd;

use sys::netns;

use crate::world::{
    Address as _, HOST, OUTSIDE, Opened, config, listen, on_host, open, outside, reach, route_to,
};

#[test]
fn containers_reach_each_other_and_the_host() {
    on_host(|| {
        let bridge = open(config());
        let (a, b) = (bridge.connect().unwrap(), bridge.connect().unwrap());
        let listener = listen(b.netns.as_fd());
        assert_eq!(
            reach(a.netns.as_fd(), b.ip().into(), &listener).unwrap(),
            a.ip()
        );
        let host = netns::current().unwrap();
        assert_eq!(
            reach(host.as_fd(), b.ip().into(), &listener).unwrap(),
            bridge.info().gateways[0]
        );
        let listener = listen(host.as_fd());
        assert_eq!(
            reach(a.netns.as_fd(), bridge.info().gateways[0], &listener).unwrap(),
            a.ip()
        );
    });
}

#[test]
fn the_outside_sees_the_hosts_address() {
    on_host(|| {
        let outside = outside(1400);
        let bridge = open(config());
        bridge.refill();
        let sandbox = bridge.connect().unwrap();
        let listener = listen(outside.as_fd());
        let seen = reach(sandbox.netns.as_fd(), OUTSIDE.parse().unwrap(), &listener).unwrap();
        assert_eq!(seen.to_string(), HOST);
    });
}

#[test]
fn neighbours_do_not_reach_a_container() {
    on_host(|| {
        let outside = outside(1500);
        let bridge = open(config());
        let sandbox = bridge.connect().unwrap();
        let listener = listen(sandbox.netns.as_fd());
        netns::enter(outside.as_fd(), || route_to(subnet(&bridge))).unwrap();
        assert!(reach(outside.as_fd(), sandbox.ip().into(), &listener).is_err());
        // The route itself works: without the rules the same connection is made.
        let status = std::process::Command::new("nft")
            .args(["delete", "table", "inet", "corten0"])
            .status();
        if status.is_ok_and(|status| status.success()) {
            reach(outside.as_fd(), sandbox.ip().into(), &listener).unwrap();
        }
    });
}

fn subnet(bridge: &Opened) -> std::net::Ipv4Addr {
    match bridge.info().subnets[0].network() {
        std::net::IpAddr::V4(four) => four,
        std::net::IpAddr::V6(_) => panic!("the first subnet is of IPv4"),
    }
}

#[test]
fn two_bridges_are_apart() {
    on_host(|| {
        let one = open(config());
        let two = open(network::Config {
            bridge: "corten1".into(),
            ..config()
        });
        assert_ne!(one.info().subnets, two.info().subnets);
        let (a, b) = (one.connect().unwrap(), two.connect().unwrap());
        let listener = listen(b.netns.as_fd());
        assert!(reach(a.netns.as_fd(), b.ip().into(), &listener).is_err());
    });
}
