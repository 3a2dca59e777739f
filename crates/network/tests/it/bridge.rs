//! What a bridge is made of, and what is left of it.

use std::os::fd::AsFd;
use std::time::Instant;

use network::{Config, Error, Networks, net_none};
use sys::netns;

use crate::world::{
    Address as _, config, eventually, links, on_host, open, open_with, outside, read_inside,
};

#[test]
fn the_first_container_gets_what_docker_gives() {
    on_host(|| {
        let _outside = outside(1400);
        let bridge = open(config());
        bridge.refill();
        let info = bridge.info();
        assert_eq!(
            (info.subnets[0].to_string().as_str(), info.mtu, info.pool),
            ("172.17.0.0/16", 1400, 8)
        );
        let sandbox = bridge.connect().unwrap();
        let endpoint = &sandbox.endpoint;
        assert_eq!(endpoint.network, "bridge");
        assert_eq!(endpoint.ipv4, Some("172.17.0.2/16".parse().unwrap()));
        assert_eq!(endpoint.mac, "02:42:ac:11:00:02");
        let routes = read_inside(&sandbox, "/proc/thread-self/net/route");
        let default = routes
            .lines()
            .find(|line| line.starts_with("eth0\t00000000"))
            .unwrap();
        assert!(default.contains("010011AC"), "{routes}"); // 172.17.0.1, little endian
        for (setting, value) in [
            ("ip_unprivileged_port_start", "0"),
            ("ping_group_range", "0\t2147483647"),
        ] {
            let path = format!("/proc/sys/net/ipv4/{setting}");
            assert_eq!(read_inside(&sandbox, &path).trim(), value);
        }
        // eth0 has no IPv6 address, loopback has.
        let six = read_inside(&sandbox, "/proc/thread-self/net/if_inet6");
        assert!(six.lines().all(|line| line.ends_with(" lo")), "{six}");
        assert_eq!(six.lines().count(), 1);
    });
}

#[test]
fn nothing_is_left_of_a_dropped_sandbox() {
    on_host(|| {
        let bridge = open(config());
        let before = links();
        let sandboxes: Vec<_> = (0..4).map(|_| bridge.connect().unwrap()).collect();
        assert_eq!(links(), before + 4);
        for sandbox in &sandboxes {
            bridge.release(&sandbox.endpoint);
        }
        drop(sandboxes);
        eventually("the interfaces die with their namespaces", || {
            links() == before
        });
    });
}

#[test]
fn removing_the_bridge_removes_everything() {
    on_host(|| {
        let before = links();
        let bridge = open(config());
        bridge.refill();
        bridge.networks.clean_up().unwrap();
        drop(bridge);
        eventually("no interface is left", || links() == before);
        if let Ok(output) = std::process::Command::new("nft")
            .args(["list", "tables"])
            .output()
        {
            assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
        }
    });
}

#[test]
fn a_bridge_is_adopted_with_its_subnet_and_its_containers() {
    on_host(|| {
        let first = open(Config {
            bip: Some("10.9.0.1/24".parse().unwrap()),
            ..config()
        });
        let sandbox = first.connect().unwrap();
        drop(first);
        let (second, warnings) = open_with(config(), std::slice::from_ref(&sandbox.endpoint));
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(second.info().subnets[0].to_string(), "10.9.0.0/24");
        second.adopt(&sandbox.endpoint).unwrap();
        assert!(matches!(
            second.adopt(&sandbox.endpoint),
            Err(Error::AddressInUse { .. })
        ));
        assert_ne!(second.connect().unwrap().ip(), sandbox.ip());
    });
}

/// Why the default network is not available.
fn refused(config: Config) -> String {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        dir: dir.path().join("networks"),
        ..config
    };
    let (networks, warnings) = Networks::open(config, &[]).unwrap();
    assert!(networks.default_bridge().is_err());
    warnings.join("\n")
}

#[test]
fn a_bridge_of_someone_else_is_refused() {
    on_host(|| {
        let Ok(status) = std::process::Command::new("ip")
            .args(["link", "add", "corten0", "type", "bridge"])
            .status()
        else {
            return;
        };
        assert!(status.success());
        let why = refused(config());
        assert!(why.contains("was not created by corten"), "{why}");
    });
}

#[test]
fn a_firewall_that_drops_what_is_forwarded_is_named() {
    on_host(|| {
        let chain = |family: &str, policy: &str| {
            format!(
                "add table {family} filter; add chain {family} filter forward \
                 {{ type filter hook forward priority 0; policy {policy}; }};"
            )
        };
        let rules = chain("ip", "drop") + &chain("ip6", "accept") + &chain("inet", "drop");
        let Ok(status) = std::process::Command::new("nft").arg(rules).status() else {
            return;
        };
        assert!(status.success());
        let (_bridge, mut warnings) = open_with(config(), &[]);
        warnings.sort();
        let starts = ["inet", "ip"]
            .map(|family| format!("nftables chain forward of table {family} filter drops"));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        for (warning, start) in warnings.iter().zip(starts) {
            assert!(warning.starts_with(&start), "{warning}");
        }
    });
}

#[test]
fn connections_from_many_threads_have_addresses_of_their_own() {
    on_host(|| {
        let bridge = open(config());
        let mut addresses: Vec<_> = std::thread::scope(|scope| {
            let connect = || {
                bridge.refill();
                (0..6)
                    .map(|_| bridge.connect().unwrap().ip())
                    .collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(connect)).collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 24);
    });
}

#[test]
fn a_subnet_in_use_is_avoided() {
    on_host(|| {
        let other = open(Config {
            bridge: "other".into(),
            bip: Some("172.17.9.1/24".parse().unwrap()),
            ..config()
        });
        assert_eq!(
            open(config()).info().subnets[0].to_string(),
            "172.18.0.0/16"
        );
        let clash = Config {
            bridge: "third".into(),
            bip: Some("172.17.0.1/16".parse().unwrap()),
            ..config()
        };
        let why = refused(clash);
        assert!(why.contains("overlaps with an address or route"), "{why}");
        drop(other);
    });
}

#[test]
fn a_full_subnet_says_so() {
    on_host(|| {
        let bridge = open(Config {
            bip: Some("10.9.0.1/29".parse().unwrap()),
            ..config()
        });
        let held: Vec<_> = (0..5).map(|_| bridge.connect().unwrap()).collect();
        let error = bridge.connect().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "no available IPv4 addresses on this network's address pools: bridge ({})",
                bridge.networks.find("bridge").unwrap().record.id
            )
        );
        bridge.release(&held[3].endpoint);
        assert_eq!(bridge.connect().unwrap().ip(), held[3].ip());
    });
}

#[test]
fn an_isolated_namespace_has_loopback_alone() {
    on_host(|| {
        let netns = net_none().unwrap();
        let (count, bound) = netns::enter(netns.as_fd(), || {
            (links(), std::net::TcpListener::bind("127.0.0.1:0").is_ok())
        })
        .unwrap();
        assert_eq!((count, bound), (1, true));
    });
}

/// Not a promise of speed, but of its order: a connection from the pool makes no system call worth naming.
#[test]
fn a_ready_sandbox_is_there_at_once() {
    on_host(|| {
        let bridge = open(config());
        let start = Instant::now();
        bridge.refill();
        let refill = start.elapsed() / 10;
        let start = Instant::now();
        let ready = bridge.connect().unwrap();
        let connect = start.elapsed();
        let cold: Vec<_> = (0..7).map(|_| bridge.connect().unwrap()).collect();
        let start = Instant::now();
        let made = bridge.connect().unwrap();
        eprintln!(
            "refill of one: {refill:?}, connect: {connect:?}, connect without pool: {:?}",
            start.elapsed()
        );
        assert!(connect.as_millis() < 5, "{connect:?}");
        drop((ready, cold, made));
    });
}
