//! Networks that users make: what they are, who reaches whom, and what a dead daemon leaves.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};

use network::{Attachment, Create, Driver, Endpoint, Pool, Sandbox, Settings};
use sys::netns;

use crate::world::{
    Opened, config, eventually, links, listen, on_host, open, open_in, outside, reach, route_to,
};

pub(crate) fn asked(name: &str) -> Create {
    Create {
        name: name.into(),
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

pub(crate) fn with_option(name: &str, option: &str, value: &str) -> Create {
    let option = format!("com.docker.network.{option}");
    Create {
        options: BTreeMap::from([(option, value.to_owned())]),
        ..asked(name)
    }
}

/// Makes a network; gives its id.
fn make(opened: &Opened, name: &str) -> String {
    let network = opened.networks.create(asked(name)).unwrap();
    network.record.id.clone()
}

/// A container's sandbox on these networks.
pub(crate) struct Member {
    pub(crate) netns: OwnedFd,
    pub(crate) endpoints: Vec<Endpoint>,
}

pub(crate) fn join(opened: &Opened, networks: &[&str]) -> Member {
    let attachments: Vec<_> = networks.iter().map(|name| Attachment::to(name)).collect();
    let Sandbox { netns, endpoints } = opened.networks.connect(&attachments).unwrap();
    Member {
        netns: netns.unwrap(),
        endpoints,
    }
}

impl Member {
    pub(crate) fn address(&self, network: &str) -> IpAddr {
        let endpoint = self.endpoints.iter().find(|one| one.network == network);
        endpoint.unwrap().addresses().next().unwrap()
    }

    pub(crate) fn reaches(&self, other: &Self, network: &str) -> bool {
        let listener = listen(other.netns.as_fd());
        reach(self.netns.as_fd(), other.address(network), &listener).is_ok()
    }
}

#[test]
fn networks_are_apart_and_their_members_are_not() {
    on_host(|| {
        let opened = open(config());
        for name in ["red", "blue"] {
            opened.networks.create(asked(name)).unwrap();
        }
        let (one, two) = (join(&opened, &["red"]), join(&opened, &["red"]));
        let (other, both) = (join(&opened, &["blue"]), join(&opened, &["red", "blue"]));
        let default = join(&opened, &["bridge"]);
        assert!(one.reaches(&two, "red"));
        assert!(!one.reaches(&other, "blue"));
        assert!(!one.reaches(&default, "bridge"));
        assert!(!default.reaches(&one, "red"));
        assert!(both.reaches(&one, "red"));
        assert!(both.reaches(&other, "blue"));
    });
}

#[test]
fn an_internal_network_has_no_way_out_or_in() {
    on_host(|| {
        let outside = outside(1500);
        let opened = open(config());
        let create = Create {
            internal: true,
            ..asked("inner")
        };
        opened.networks.create(create).unwrap();
        let (one, two) = (join(&opened, &["inner"]), join(&opened, &["inner"]));
        assert!(one.reaches(&two, "inner"));
        assert_eq!(one.endpoints[0].gateway4, None);
        let listener = listen(outside.as_fd());
        let out = crate::world::OUTSIDE.parse().unwrap();
        assert!(reach(one.netns.as_fd(), out, &listener).is_err());
        let subnet = one.endpoints[0].ipv4.unwrap().network();
        netns::enter(outside.as_fd(), || route_to(subnet)).unwrap();
        let listener = listen(one.netns.as_fd());
        assert!(reach(outside.as_fd(), one.address("inner"), &listener).is_err());
    });
}

#[test]
fn members_can_be_kept_from_one_another() {
    on_host(|| {
        let opened = open(config());
        let create = with_option("apart", "bridge.enable_icc", "false");
        opened.networks.create(create).unwrap();
        let (one, two) = (join(&opened, &["apart"]), join(&opened, &["apart"]));
        assert!(!one.reaches(&two, "apart"));
        let host = netns::current().unwrap();
        let listener = listen(two.netns.as_fd());
        reach(host.as_fd(), two.address("apart"), &listener).unwrap();
    });
}

#[test]
fn ipv6_has_addresses_and_a_way_to_the_neighbour() {
    on_host(|| {
        let opened = open(config());
        let create = Create {
            enable_ipv4: false,
            enable_ipv6: Some(true),
            ..asked("six")
        };
        let network = opened.networks.create(create).unwrap();
        assert!(network.record.pools[0].subnet.to_string().starts_with("fd"));
        let (one, two) = (join(&opened, &["six"]), join(&opened, &["six"]));
        assert!(one.address("six").is_ipv6());
        let listener = netns::enter(two.netns.as_fd(), || {
            std::net::TcpListener::bind("[::]:80").unwrap()
        })
        .unwrap();
        reach(one.netns.as_fd(), two.address("six"), &listener).unwrap();
        let four = join(&opened, &["bridge"]);
        let inside = netns::enter(four.netns.as_fd(), || {
            std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap()
        });
        let inside = inside.unwrap();
        assert!(inside.lines().all(|line| line.ends_with(" lo")), "{inside}");
    });
}

#[test]
fn a_place_comes_and_goes_while_the_container_runs() {
    on_host(|| {
        let opened = open(config());
        let networks = &opened.networks;
        networks.create(asked("red")).unwrap();
        let member = join(&opened, &["bridge"]);
        let other = join(&opened, &["red"]);
        let before = links();
        let attachment = Attachment {
            settings: Settings {
                gateway_priority: 1,
                ..Settings::default()
            },
            ..Attachment::to("red")
        };
        let place = networks
            .attach(&member.netns, &member.endpoints, &attachment, |_| Ok(()))
            .unwrap();
        assert_eq!((links(), place.interface.as_str()), (before + 1, "eth1"));
        let default = || {
            let read = || std::fs::read_to_string("/proc/thread-self/net/route").unwrap();
            let routes = netns::enter(member.netns.as_fd(), read).unwrap();
            let default = routes.lines().find(|line| line.contains("\t00000000\t"));
            default.unwrap().split('\t').next().unwrap().to_owned()
        };
        assert_eq!(default(), "eth1");
        let listener = listen(other.netns.as_fd());
        reach(member.netns.as_fd(), other.address("red"), &listener).unwrap();
        assert!(networks.is_plugged(None, &place));
        network::reroute(member.netns.as_fd(), &member.endpoints).unwrap();
        networks.unplug(Some(member.netns.as_fd()), &place);
        assert!(!networks.is_plugged(None, &place));
        assert_eq!((links(), default().as_str()), (before, "eth0"));
        let refused = networks.attach(&member.netns, &member.endpoints, &attachment, |_| {
            Err("no disk".into())
        });
        assert_eq!(refused.unwrap_err().to_string(), "no disk");
        assert_eq!(links(), before);
    });
}

#[test]
fn a_network_outlives_its_daemon_and_the_hosts_reboot() {
    on_host(|| {
        let opened = open(config());
        let id = make(&opened, "red");
        let (one, two) = (join(&opened, &["red"]), join(&opened, &["red"]));
        let used = [one.endpoints[0].clone(), two.endpoints[0].clone()];
        let dir = opened.die();
        assert!(one.reaches(&two, "red"), "while no daemon runs");
        let (opened, warnings) = open_in(dir, config(), &used);
        assert_eq!(warnings, Vec::<String>::new());
        for endpoint in &used {
            opened.networks.adopt(endpoint).unwrap();
        }
        assert!(one.reaches(&two, "red"), "after the next has come");
        let network = opened.networks.find(&id[..12]).unwrap();
        assert!(opened.networks.remove(&network).is_err(), "it is used");
        let third = join(&opened, &["red"]);
        assert!(!used.iter().any(|one| one.ipv4 == third.endpoints[0].ipv4));
        opened.networks.clean_up().unwrap();
        let (opened, warnings) = open_in(opened.die(), config(), &[]);
        assert_eq!(warnings, Vec::<String>::new());
        let (one, two) = (join(&opened, &["red"]), join(&opened, &["red"]));
        assert!(one.reaches(&two, "red"), "after a reboot");
    });
}

#[test]
fn nothing_is_left_of_a_removed_network() {
    on_host(|| {
        let opened = open(config());
        let before = links();
        let network = opened.networks.create(asked("red")).unwrap();
        assert_eq!(links(), before + 1);
        let member = join(&opened, &["red"]);
        opened.networks.release(&member.endpoints);
        drop(member);
        opened.networks.remove(&network).unwrap();
        eventually("its interfaces go", || links() == before);
        assert!(opened.networks.find("red").is_err());
        assert!(opened.networks.remove(&network).is_err());
        let again = opened.networks.create(asked("red")).unwrap();
        assert_ne!(again.record.id, network.record.id);
        assert_eq!(again.record.pools, network.record.pools);
    });
}

#[test]
fn a_bridge_without_a_record_is_swept_away() {
    on_host(|| {
        let opened = open(config());
        let id = make(&opened, "red");
        let before = links();
        let dir = opened.die();
        std::fs::remove_file(dir.path().join("networks").join(format!("{id}.json"))).unwrap();
        let _opened = open_in(dir, config(), &[]);
        assert_eq!(links(), before - 1);
    });
}

#[test]
fn names_and_subnets_have_one_owner() {
    on_host(|| {
        let opened = open(config());
        let pool = |subnet: &str| Pool {
            subnet: subnet.parse().unwrap(),
            range: None,
            gateway: None,
            auxiliary: BTreeMap::new(),
            by_user: true,
        };
        let subnet = |name, subnet| Create {
            pools: vec![pool(subnet)],
            ..asked(name)
        };
        opened
            .networks
            .create(subnet("red", "10.9.0.0/24"))
            .unwrap();
        let refused = |create: Create| opened.networks.create(create).unwrap_err().to_string();
        assert_eq!(
            refused(asked("red")),
            "network with name red already exists"
        );
        for clash in ["10.9.0.0/25", "10.0.0.0/8", "172.17.0.0/16"] {
            assert_eq!(
                refused(subnet("blue", clash)),
                "invalid pool request: Pool overlaps with other one on this address space"
            );
        }
        assert!(refused(asked("host")).contains("predefined host network"));
        let wish = |address: &str| Attachment {
            settings: Settings {
                ipv4: Some(address.parse().unwrap()),
                ..Settings::default()
            },
            ..Attachment::to("red")
        };
        let _held = opened.networks.connect(&[wish("10.9.0.7")]).unwrap();
        let why = |address: &str| {
            let refused = opened.networks.connect(&[wish(address)]);
            refused.unwrap_err().to_string()
        };
        assert_eq!(why("10.9.0.7"), "Address already in use");
        assert!(why("10.8.0.7").ends_with("contain the IP address 10.8.0.7"));
    });
}

#[test]
fn rules_that_somebody_flushed_come_back() {
    on_host(|| {
        let opened = open(config());
        opened.networks.create(asked("red")).unwrap();
        let (one, other) = (join(&opened, &["bridge"]), join(&opened, &["red"]));
        let flushed = std::process::Command::new("nft")
            .args(["flush", "ruleset"])
            .status();
        if !flushed.is_ok_and(|status| status.success()) {
            return;
        }
        assert!(one.reaches(&other, "red"));
        opened.networks.keep_rules().unwrap();
        assert!(!one.reaches(&other, "red"));
    });
}

fn ip(words: &[&str]) {
    let status = std::process::Command::new("ip").args(words).status();
    assert!(status.unwrap().success(), "{words:?}");
}

#[test]
fn a_bridge_that_somebody_deleted_comes_back_with_its_places() {
    on_host(|| {
        let opened = open(config());
        let bridge = format!("br-{}", &make(&opened, "red")[..12]);
        opened.refill();
        let (one, two) = (join(&opened, &["red"]), join(&opened, &["red"]));
        ip(&["link", "delete", &bridge]);
        ip(&["link", "delete", "corten0"]);
        assert!(!one.reaches(&two, "red"));
        let told = opened.networks.keep_bridges().unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.concat().contains("with 2 places"), "{told:?}");
        assert_eq!(
            opened.networks.keep_bridges().unwrap(),
            Vec::<String>::new()
        );
        assert!(one.reaches(&two, "red"));
        let three = join(&opened, &["red"]);
        assert!(three.reaches(&one, "red"));
        // What stood ready hung on the bridge that was deleted, and is not given out.
        let (a, b) = (join(&opened, &["bridge"]), join(&opened, &["bridge"]));
        assert!(a.reaches(&b, "bridge"));
        // Somebody else's in its place is left alone, and told of once.
        ip(&["link", "delete", &bridge]);
        ip(&["link", "add", &bridge, "type", "bridge"]);
        let told = opened.networks.keep_bridges().unwrap();
        assert!(told[0].contains("was not created by corten"), "{told:?}");
        assert_eq!(
            opened.networks.keep_bridges().unwrap(),
            Vec::<String>::new()
        );
        ip(&["link", "delete", &bridge]);
        assert_eq!(opened.networks.keep_bridges().unwrap().len(), 1);
        assert!(one.reaches(&two, "red"));
        // While no daemon runs: the next one makes it.
        let used: Vec<_> = [&one, &two]
            .map(|member| member.endpoints[0].clone())
            .into();
        let dir = opened.die();
        ip(&["link", "delete", &bridge]);
        let (opened, _) = open_in(dir, config(), &used);
        for endpoint in &used {
            opened.networks.adopt(endpoint).unwrap();
        }
        assert!(one.reaches(&two, "red"));
    });
}

#[test]
fn sixty_networks_find_subnets_of_their_own() {
    on_host(|| {
        let opened = open(config());
        let mut subnets = Vec::new();
        for number in 0..60 {
            let made = opened.networks.create(asked(&format!("n{number}")));
            subnets.push(made.unwrap().record.pools[0].subnet);
        }
        subnets.sort_unstable();
        subnets.dedup();
        assert_eq!(subnets.len(), 60);
        let member = join(&opened, &["n59"]);
        let other = join(&opened, &["n58"]);
        assert!(!member.reaches(&other, "n58"));
    });
}
