//! What interfaces of containers are called, whatever there is on the host and in the container.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

use network::{Attachment, Driver, Settings};
use sys::netns;

use crate::modes::{beside, ip};
use crate::networks::{asked, join};
use crate::world::{OUTSIDE, config, listen, on_host, open, outside, reach};

/// The names of a namespace's interfaces, in their order.
fn names(netns: BorrowedFd<'_>) -> Vec<String> {
    let read = || std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let text = netns::enter(netns, read).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut names: Vec<String> = lines.map(|(name, _)| name.trim().to_owned()).collect();
    names.sort();
    names
}

/// A place on a network with an option of its endpoint.
fn with(network: &str, option: &str, value: &str) -> Attachment {
    let option = format!("com.docker.network.endpoint.{option}");
    Attachment {
        settings: Settings {
            driver_opts: BTreeMap::from([(option, value.to_owned())]),
            ..Settings::default()
        },
        ..Attachment::to(network)
    }
}

/// Before Linux 6.15 the kernel looks for the new name where it is asked, too.
#[test]
fn a_place_beside_an_interface_may_be_called_like_one_of_the_host() {
    on_host(|| {
        let outside = outside(1500);
        ip("link add eth0 type veth peer name other");
        let opened = open(config());
        let lan = beside(Driver::Macvlan, &[("parent", "uplink")]);
        opened.networks.create(lan).unwrap();
        let place = with("lan", "sysctls", "net.ipv4.conf.IFNAME.log_martians=1");
        let sandbox = opened.networks.connect(&[place]).unwrap();
        let netns = sandbox.netns.unwrap();
        assert_eq!(names(netns.as_fd()), ["eth0", "lo"]);
        let set = netns::enter(netns.as_fd(), || {
            std::fs::read_to_string("/proc/sys/net/ipv4/conf/eth0/log_martians").unwrap()
        });
        assert_eq!(set.unwrap().trim(), "1");
        let theirs = listen(outside.as_fd());
        reach(netns.as_fd(), OUTSIDE.parse().unwrap(), &theirs).unwrap();
    });
}

#[test]
fn a_name_that_is_taken_is_refused_and_whoever_has_it_stays() {
    on_host(|| {
        let _outside = outside(1500);
        let opened = open(config());
        let networks = &opened.networks;
        let lan = beside(Driver::Macvlan, &[("parent", "uplink")]);
        networks.create(lan).unwrap();
        networks.create(asked("red")).unwrap();
        let (member, other) = (join(&opened, &["bridge"]), join(&opened, &["bridge"]));
        for network in ["lan", "red"] {
            let place = with(network, "ifname", "eth0");
            let connected = networks.attach(&member.netns, &member.endpoints, &place, |_| Ok(()));
            let at_start = networks.connect(&[Attachment::to("bridge"), place]);
            for refused in [connected.map(drop), at_start.map(drop)] {
                assert_eq!(
                    refused.unwrap_err().to_string(),
                    "the container has an interface eth0 already",
                    "{network}"
                );
            }
            assert!(member.reaches(&other, "bridge"), "{network}");
        }
        // It comes when the name was found to be free.
        let place = Attachment::to("lan");
        let late = networks.attach(&member.netns, &member.endpoints, &place, |_| {
            let made = || ip("link add eth1 type veth peer name theirs");
            netns::enter(member.netns.as_fd(), made).unwrap();
            Ok(())
        });
        assert!(late.is_err());
        assert_eq!(
            names(member.netns.as_fd()),
            ["eth0", "eth1", "lo", "theirs"]
        );
    });
}
