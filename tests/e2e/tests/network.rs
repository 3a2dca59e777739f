//! The default bridge, `none` and `host`.

use std::time::Duration;

use testkit::{Context, command, skip};

#[test]
fn containers_reach_one_another_by_address() {
    let context = Context::busybox();
    context.sleeper("server", &[]);
    let address = context.inspect("server", "{{.NetworkSettings.IPAddress}}");
    context
        .corten(&[
            "run", "--rm", "busybox", "ping", "-c", "1", "-W", "5", &address,
        ])
        .ok();
    let gateway = context.inspect("server", "{{.NetworkSettings.Gateway}}");
    context
        .corten(&["exec", "server", "ping", "-c", "1", "-W", "5", &gateway])
        .ok();
    let hosts = context.corten(&["exec", "server", "cat", "/etc/hosts"]);
    let id = context.inspect("server", "{{.Id}}");
    assert!(
        hosts.ok().contains(&format!("{address}\t{}", &id[..12])),
        "{}",
        hosts.stdout
    );
}

#[test]
fn none_has_only_the_loopback_and_host_has_the_hosts() {
    let context = Context::busybox();
    let none = context.corten(&[
        "run",
        "--rm",
        "--network",
        "none",
        "busybox",
        "ls",
        "/sys/class/net",
    ]);
    assert_eq!(none.ok(), "lo");
    let bridge = context.names().bridge.clone();
    let host = context.corten(&[
        "run",
        "--rm",
        "--network",
        "host",
        "busybox",
        "ip",
        "link",
        "show",
        &bridge,
    ]);
    assert!(host.ok().contains(&bridge), "{host:?}");
}

#[test]
fn addresses_are_free_for_the_next() {
    let context = Context::busybox();
    for _ in 0..5 {
        let running: Vec<_> = (0..4)
            .map(|_| {
                context.corten_start(&[
                    "run", "--rm", "busybox", "ip", "-4", "-o", "addr", "show", "eth0",
                ])
            })
            .collect();
        let mut seen: Vec<String> = running
            .into_iter()
            .map(|one| {
                one.wait(Duration::from_secs(20))
                    .expect("it ends")
                    .ok()
                    .to_owned()
            })
            .collect();
        seen.sort();
        seen.dedup();
        assert!(
            seen.iter().all(|line| line.contains("inet 10.219.")),
            "{seen:?}"
        );
    }
}

#[test]
fn a_debian_updates_its_package_lists() {
    if !masquerades() {
        skip!("this machine has no route out, or cannot translate addresses");
    }
    let context = Context::new();
    context.load("debian-bookworm");
    // With the host's resolvers, through the network's own.
    context.corten(&["network", "create", "own"]).ok();
    let mut update = context.corten_command(&[
        "run",
        "--rm",
        "--network",
        "own",
        "debian:bookworm",
        "apt-get",
        "-o",
        "Acquire::Check-Valid-Until=false",
        "update",
    ]);
    let output = command::run_with(&mut update, b"", Duration::from_mins(3));
    assert_eq!(output.code, 0, "{output:?}");
    assert!(
        output.stdout.contains("Reading package lists"),
        "{output:?}"
    );
}

/// A default route, and the kernel's part of address translation.
fn masquerades() -> bool {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let default = routes
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some("00000000"));
    let mut nft = std::process::Command::new("nft");
    default && nft.args(["--check", "add table ip x; add chain ip x y { type nat hook postrouting priority 100; }; add rule ip x y masquerade"])
        .output()
        .is_ok_and(|output| output.status.success())
}
