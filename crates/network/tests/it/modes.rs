//! Networks whose members go by their own addresses: in routed mode, and beside an interface of the host. And networks that
//! configure others.

use std::collections::BTreeMap;
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use network::{Attachment, Create, Driver, Opening, Pool, Protocol, Settings};
use sys::netns;

use crate::networks::{Member, asked, join, with_option};
use crate::world::{
    OUTSIDE, Opened, config, eventually, links, listen_at, on_host, open, open_in, outside, reach,
};

/// Runs ip in the calling thread's namespace.
#[track_caller]
pub(crate) fn ip(words: &str) {
    let status = std::process::Command::new("ip")
        .args(words.split(' '))
        .status();
    assert!(status.unwrap().success(), "ip {words}");
}

/// An outside machine with both families, and a network whose subnets it reaches through the host.
fn neighbour(opened: &Opened, create: Create) -> OwnedFd {
    let outside = outside(1500);
    ip("addr add fd51::1/64 dev uplink nodad");
    let network = opened.networks.create(create).unwrap();
    netns::enter(outside.as_fd(), || {
        ip("addr add fd51::2/64 dev out nodad");
        for pool in &network.record.pools {
            let via = if pool.subnet.addr().is_ipv4() {
                crate::world::HOST
            } else {
                "fd51::1"
            };
            ip(&format!("route add {} via {via}", pool.subnet));
        }
    })
    .unwrap();
    outside
}

fn modes(mode: &str) -> Create {
    let four = with_option("own", "bridge.gateway_mode_ipv4", mode);
    let six = with_option("own", "bridge.gateway_mode_ipv6", mode);
    let mut options = four.options;
    options.extend(six.options);
    Create {
        options,
        enable_ipv6: Some(true),
        ..asked("own")
    }
}

fn listen(netns: BorrowedFd<'_>) -> TcpListener {
    listen_at(netns, "[::]:80")
}

/// Who the listener sees.
fn seen(from: BorrowedFd<'_>, to: IpAddr, listener: &TcpListener) -> Option<IpAddr> {
    reach(from, to, listener)
        .ok()
        .map(|peer| peer.to_canonical())
}

#[test]
fn neighbours_reach_what_is_published_on_a_routed_network_and_nothing_else() {
    on_host(|| {
        let opened = open(config());
        let outside = neighbour(&opened, modes("routed"));
        let member = join(&opened, &["own"]);
        let (inside, theirs) = (listen(member.netns.as_fd()), listen(outside.as_fd()));
        let addresses: Vec<IpAddr> = member.endpoints[0].addresses().collect();
        let outer: [IpAddr; 2] = [OUTSIDE.parse().unwrap(), "fd51::2".parse().unwrap()];
        let opening = |address: &IpAddr| Opening {
            address: *address,
            protocol: Protocol::Tcp,
            port: 80,
        };
        let open_all = addresses.iter().map(opening).collect::<Vec<_>>();
        for (address, other) in addresses.iter().zip(outer) {
            assert_eq!(
                seen(outside.as_fd(), *address, &inside),
                None,
                "closed {address}"
            );
            // Nothing is translated on the way out.
            assert_eq!(seen(member.netns.as_fd(), other, &theirs), Some(*address));
        }
        opened.networks.open_ports("c", || open_all).unwrap();
        for (address, other) in addresses.iter().zip(outer) {
            assert_eq!(
                seen(outside.as_fd(), *address, &inside),
                Some(other),
                "{address}"
            );
        }
        // Another network coming makes the table anew; what is open stays open.
        opened.networks.create(asked("red")).unwrap();
        assert_eq!(seen(outside.as_fd(), addresses[0], &inside), Some(outer[0]));
        // So do containers of other networks reach it.
        let red = join(&opened, &["red"]);
        assert!(seen(red.netns.as_fd(), addresses[0], &inside).is_some());
        opened.networks.open_ports("c", Vec::new).unwrap();
        assert_eq!(
            seen(outside.as_fd(), addresses[0], &inside),
            None,
            "closed again"
        );
    });
}

#[test]
fn an_unprotected_network_is_open_by_both_families_and_hides_its_members_on_the_way_out() {
    on_host(|| {
        let opened = open(config());
        let outside = neighbour(&opened, modes("nat-unprotected"));
        let member = join(&opened, &["own"]);
        let (inside, theirs) = (listen(member.netns.as_fd()), listen(outside.as_fd()));
        let outer: [IpAddr; 2] = [OUTSIDE.parse().unwrap(), "fd51::2".parse().unwrap()];
        let host: [IpAddr; 2] = [
            crate::world::HOST.parse().unwrap(),
            "fd51::1".parse().unwrap(),
        ];
        for ((address, other), host) in member.endpoints[0].addresses().zip(outer).zip(host) {
            assert_eq!(seen(outside.as_fd(), address, &inside), Some(other));
            assert_eq!(seen(member.netns.as_fd(), other, &theirs), Some(host));
        }
    });
}

pub(crate) fn beside(driver: Driver, pairs: &[(&str, &str)]) -> Create {
    let pairs = pairs.iter();
    Create {
        driver,
        options: pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        pools: vec![Pool {
            subnet: "198.51.100.0/24".parse().unwrap(),
            range: Some("198.51.100.64/26".parse().unwrap()),
            gateway: Some(OUTSIDE.parse().unwrap()),
            auxiliary: BTreeMap::from([("printer".into(), "198.51.100.65".parse().unwrap())]),
            by_user: true,
        }],
        ..asked("lan")
    }
}

#[test]
fn a_macvlan_of_two_subnets_gives_addresses_of_both() {
    on_host(|| {
        let outside = outside(1400);
        let opened = open(config());
        let mut create = beside(Driver::Macvlan, &[("parent", "uplink")]);
        let pool = |subnet: &str, range: Option<&str>| Pool {
            subnet: subnet.parse().unwrap(),
            range: range.map(|range| range.parse().unwrap()),
            gateway: None,
            auxiliary: BTreeMap::new(),
            by_user: true,
        };
        create.pools = vec![
            pool("198.51.100.0/24", Some("198.51.100.64/31")),
            pool("203.0.113.0/24", None),
        ];
        create.pools[0].gateway = Some(OUTSIDE.parse().unwrap());
        opened.networks.create(create).unwrap();
        let members = [(); 3].map(|()| join(&opened, &["lan"]));
        let addresses = members.each_ref().map(|one| one.address("lan").to_string());
        // Of the second one when the first has none left.
        assert_eq!(addresses, ["198.51.100.64", "198.51.100.65", "203.0.113.2"]);
        let last = &members[2].endpoints[0];
        assert_eq!(last.gateway4, Some([203, 0, 113, 1].into()));
        let theirs = listen(outside.as_fd());
        let outer = OUTSIDE.parse().unwrap();
        assert!(seen(members[0].netns.as_fd(), outer, &theirs).is_some());
        let at = |address: &str| {
            let settings = Settings {
                ipv4: Some(address.parse().unwrap()),
                ..Settings::default()
            };
            opened.networks.connect(&[Attachment {
                settings,
                ..Attachment::to("lan")
            }])
        };
        let ninth = at("203.0.113.9").unwrap();
        assert_eq!(ninth.endpoints[0].gateway4, last.gateway4);
        assert!(at("203.0.113.9").is_err(), "it is used");
        opened.networks.release(&ninth.endpoints);
        assert!(at("192.0.2.9").is_err(), "of neither");
        let used = members.each_ref().map(|one| one.endpoints[0].clone());
        let (opened, warnings) = open_in(opened.die(), config(), &used);
        assert_eq!(warnings, Vec::<String>::new());
        for endpoint in &used {
            opened.networks.adopt(endpoint).unwrap();
        }
        let next = join(&opened, &["lan"]);
        assert_eq!(next.address("lan").to_string(), "203.0.113.3");
        for member in members.iter().chain([&next]) {
            opened.networks.release(&member.endpoints);
        }
        drop((members, next));
        let network = opened.networks.find("lan").unwrap();
        opened.networks.remove(&network).unwrap();
    });
}

#[test]
fn members_of_a_macvlan_are_hosts_of_their_own_on_the_link() {
    on_host(|| {
        let outside = outside(1400);
        let opened = open(config());
        let before = links();
        let parent = [("parent", "uplink")];
        let network = opened
            .networks
            .create(beside(Driver::Macvlan, &parent))
            .unwrap();
        let (one, two) = (join(&opened, &["lan"]), join(&opened, &["lan"]));
        assert_eq!(one.address("lan").to_string(), "198.51.100.64");
        assert_eq!(
            two.address("lan").to_string(),
            "198.51.100.66",
            "65 is the printer's"
        );
        assert_eq!(links(), before, "nothing of it is on the host");
        let theirs = listen(outside.as_fd());
        let outer = OUTSIDE.parse().unwrap();
        assert_eq!(
            seen(one.netns.as_fd(), outer, &theirs),
            Some(one.address("lan"))
        );
        assert!(one.reaches(&two, "lan"));
        let inside = listen(two.netns.as_fd());
        assert_eq!(
            seen(outside.as_fd(), two.address("lan"), &inside),
            Some(outer)
        );
        // Its MTU is the interface's, and its default route leads to the link's gateway.
        let read = |path: &str| {
            netns::enter(one.netns.as_fd(), || std::fs::read_to_string(path).unwrap()).unwrap()
        };
        assert!(read("/proc/thread-self/net/route").contains("eth0\t00000000\t026433C6"));
        assert!(opened.networks.remove(&network).is_err(), "it is used");
        // A later daemon finds the addresses taken.
        let used = [one.endpoints[0].clone(), two.endpoints[0].clone()];
        let (opened, warnings) = open_in(opened.die(), config(), &used);
        assert_eq!(warnings, Vec::<String>::new());
        for endpoint in &used {
            opened.networks.adopt(endpoint).unwrap();
            assert!(
                opened
                    .networks
                    .is_plugged(Some(one.netns.as_fd()), endpoint)
            );
        }
        let three = join(&opened, &["lan"]);
        assert_eq!(three.address("lan").to_string(), "198.51.100.67");
        let network = opened.networks.find("lan").unwrap();
        for member in [one, two, three] {
            opened.networks.release(&member.endpoints);
        }
        opened.networks.remove(&network).unwrap();
        ip("link show uplink");
        eventually("the interfaces go with their namespaces", || {
            links() == before
        });
    });
}

#[test]
fn a_place_beside_an_interface_comes_and_goes_while_the_container_runs() {
    on_host(|| {
        let _outside = outside(1500);
        let opened = open(config());
        let networks = &opened.networks;
        let parent = [("parent", "uplink")];
        networks.create(beside(Driver::Macvlan, &parent)).unwrap();
        let member: Member = join(&opened, &["bridge"]);
        let attachment = Attachment::to("lan");
        let netns = Some(member.netns.as_fd());
        let place = networks.attach(&member.netns, &member.endpoints, &attachment, |_| Ok(()));
        let place = place.unwrap();
        assert!(networks.is_plugged(netns, &place));
        network::reroute(member.netns.as_fd(), &member.endpoints).unwrap();
        networks.unplug(Some(member.netns.as_fd()), &place);
        assert!(!networks.is_plugged(netns, &place));
        let failed = networks.attach(&member.netns, &member.endpoints, &attachment, |_| {
            Err("no disk".into())
        });
        assert_eq!(failed.unwrap_err().to_string(), "no disk");
        let again = networks.attach(&member.netns, &member.endpoints, &attachment, |_| Ok(()));
        assert_eq!(again.unwrap().interface, "eth1");
        // Who has an address that was asked for has a hardware address that was asked for, too.
        let wish = Attachment {
            settings: Settings {
                mac: Some("02:00:00:00:00:07".into()),
                ipv4: Some("198.51.100.70".parse().unwrap()),
                ..Settings::default()
            },
            ..Attachment::to("lan")
        };
        let sandbox = networks.connect(&[wish]).unwrap();
        let inside = netns::enter(sandbox.netns.as_ref().unwrap().as_fd(), || {
            std::process::Command::new("ip")
                .args(["link", "show", "eth0"])
                .output()
                .unwrap()
        });
        let text = String::from_utf8_lossy(&inside.unwrap().stdout).into_owned();
        assert!(text.contains("02:00:00:00:00:07"), "{text}");
    });
}

/// A place on `lan` with this address.
fn to_lan_at(address: IpAddr) -> Attachment {
    let IpAddr::V4(address) = address else {
        panic!("lan has no IPv6")
    };
    Attachment {
        settings: Settings {
            ipv4: Some(address),
            ..Settings::default()
        },
        ..Attachment::to("lan")
    }
}

#[test]
fn members_beside_every_kind_of_interface_reach_whom_they_should() {
    on_host(|| {
        let outside = outside(1500);
        let opened = open(config());
        let before = links();
        let theirs = listen(outside.as_fd());
        // Ranges of their own: the neighbours remember where an address was.
        for (range, (driver, pairs, kind, leads_out)) in (64..).step_by(32).zip([
            (Driver::Ipvlan, &[("parent", "uplink")][..], "ipvlan", true),
            (
                Driver::Ipvlan,
                // The neighbours would need a route to it.
                &[("parent", "uplink"), ("ipvlan_mode", "l3")],
                "ipvlan",
                false,
            ),
            (
                Driver::Macvlan,
                // They are on no VLAN.
                &[("parent", "uplink.10")],
                "vlan",
                false,
            ),
            (Driver::Macvlan, &[], "dummy", false),
        ]) {
            let mut asked = beside(driver, pairs);
            asked.pools[0].range = format!("198.51.100.{range}/27").parse().ok();
            let network = match opened.networks.create(asked) {
                Ok(network) => network,
                Err(error) => {
                    let said = error.to_string();
                    let lacking = format!("the kernel has no {kind} interfaces");
                    assert!(said.ends_with(&lacking), "{said}");
                    continue;
                }
            };
            let (one, two) = (join(&opened, &["lan"]), join(&opened, &["lan"]));
            assert!(one.reaches(&two, "lan"), "{pairs:?}");
            assert_eq!(
                seen(one.netns.as_fd(), OUTSIDE.parse().unwrap(), &theirs),
                leads_out.then(|| one.address("lan")),
                "{pairs:?}"
            );
            for member in [one, two] {
                let address = member.address("lan");
                opened.networks.release(&member.endpoints);
                drop(member);
                // The kernel has not taken the namespace apart yet when its container starts again.
                let again = opened.networks.connect(&[to_lan_at(address)]).unwrap();
                opened.networks.release(&again.endpoints);
            }
            opened.networks.remove(&network).unwrap();
            eventually("its interfaces are gone", || links() == before);
        }
    });
}

#[test]
fn what_cannot_be_beside_an_interface_is_refused() {
    on_host(|| {
        let _outside = outside(1500);
        let opened = open(config());
        let try_it = |driver, pairs: &[(&str, &str)]| {
            let made = opened.networks.create(beside(driver, pairs));
            made.map(|made| opened.networks.remove(&made).unwrap())
                .map_or_else(|error| error.to_string(), |()| String::new())
        };
        assert_eq!(
            try_it(Driver::Macvlan, &[("parent", "eth7")]),
            "invalid subinterface vlan name eth7, example formatting is eth0.10"
        );
        assert_eq!(
            try_it(Driver::Macvlan, &[("parent", "eth7.1")]),
            "-o parent interface does was not found on the host: eth7"
        );
        let passthru = [("parent", "uplink"), ("macvlan_mode", "passthru")];
        let first = opened
            .networks
            .create(beside(Driver::Macvlan, &passthru))
            .unwrap();
        let mut second = beside(Driver::Macvlan, &[("parent", "uplink")]);
        second.name = "second".into();
        second.pools[0].subnet = "203.0.113.0/24".parse().unwrap();
        second.pools[0].range = None;
        second.pools[0].gateway = None;
        second.pools[0].auxiliary.clear();
        assert_eq!(
            opened.networks.create(second).unwrap_err().to_string(),
            "macvlan network lan is using parent interface uplink in mode passthru"
        );
        opened.networks.remove(&first).unwrap();
    });
}

#[test]
fn a_network_has_its_configuration_from_another() {
    on_host(|| {
        let opened = open(config());
        let networks = &opened.networks;
        let before = links();
        let template = Create {
            config_only: true,
            driver: Driver::Bridge,
            labels: BTreeMap::from([("tier".into(), "1".into())]),
            ..beside(Driver::Bridge, &[("com.docker.network.driver.mtu", "1300")])
        };
        let template = networks
            .create(Create {
                name: "template".into(),
                ..template
            })
            .unwrap();
        assert_eq!(links(), before, "it has no bridge");
        assert!(template.record.config_only && template.record.driver == Driver::Null);
        let from = |name: &str| Create {
            config_from: "template".into(),
            enable_ipv6: None,
            ..asked(name)
        };
        let made = networks.create(from("real")).unwrap();
        assert_eq!(made.record.pools, template.record.pools);
        assert_eq!(made.record.labels, template.record.labels);
        assert_eq!(made.bridge().unwrap().info().mtu, 1300);
        let refused = |create: Create| networks.create(create).unwrap_err().to_string();
        assert_eq!(
            refused(from("twice")),
            "invalid pool request: Pool overlaps with other one on this address space"
        );
        let nowhere = Create {
            config_from: "nothing".into(),
            ..asked("x")
        };
        assert_eq!(
            refused(Create {
                enable_ipv6: None,
                ..nowhere
            }),
            "configuration network \"nothing\" does not exist"
        );
        let own = Create {
            labels: BTreeMap::from([("a".into(), "b".into())]),
            ..from("x")
        };
        assert!(refused(own).starts_with("user specified configurations are not supported"));
        let joined = networks.connect(&[Attachment::to("template")]);
        assert_eq!(
            joined.unwrap_err().to_string(),
            "cannot create endpoint on configuration-only network"
        );
        assert_eq!(
            networks.remove(&template).unwrap_err().to_string(),
            "configuration network \"template\" is in use"
        );
        networks.remove(&made).unwrap();
        networks.remove(&template).unwrap();
    });
}
