//! Ways into the host and out of a network that others have had: each is closed.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use testkit::{Context, Outside, command};

use crate::ports::{ask, netd, teller};

const LIMIT: Duration = Duration::from_secs(10);

fn setting(interface: &str, name: &str) -> String {
    let path = format!("/proc/sys/net/ipv6/conf/{interface}/{name}");
    fs::read_to_string(path).map_or_else(|_| "none".to_owned(), |text| text.trim().to_owned())
}

fn is_up(interface: &str) -> bool {
    const IFF_UP: u32 = 1;
    let flags = fs::read_to_string(format!("/sys/class/net/{interface}/flags"));
    let flags = flags.unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16);
    flags.is_ok_and(|flags| flags & IFF_UP != 0)
}

/// CVE-2020-13401: a container's router advertisements make the host send its traffic there.
#[test]
fn router_advertisements_of_containers_are_not_listened_to() {
    let context = Context::busybox();
    let id = context
        .corten(&["network", "create", "--ipv6", "six"])
        .ok()
        .to_owned();
    for (name, network) in [("four", "bridge"), ("six", "six")] {
        context.sleeper(name, &["--network", network]);
    }
    let (plain, six) = (context.names().bridge.clone(), format!("br-{}", &id[..12]));
    // Where IPv6 is off, there is nobody to listen.
    assert_eq!(setting(&plain, "disable_ipv6"), "1");
    assert_eq!(setting(&six, "accept_ra"), "0");
    let mut seen = 0;
    for bridge in [&plain, &six] {
        let ports = fs::read_dir(format!("/sys/class/net/{bridge}/brif")).expect("its ports");
        for port in ports.flatten() {
            let port = port.file_name().to_string_lossy().into_owned();
            // One that is being made for a next container listens to nothing before it is up.
            if is_up(&port) {
                assert_eq!(setting(&port, "disable_ipv6"), "1", "{port}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 2, "each container has one");
    // A network without IPv6 has none, not even that of the link.
    let inside = |name: &str, file: &str| {
        let shown = context.corten(&["exec", name, "cat", file]);
        shown.ok().to_owned()
    };
    let addresses = inside("four", "/proc/net/if_inet6");
    assert!(!addresses.contains("eth0"), "{addresses}");
    assert_eq!(
        inside("six", "/proc/sys/net/ipv6/conf/eth0/accept_ra"),
        "0",
        "nor do neighbours listen to one another"
    );
}

/// The addresses at which a process listens, as `/proc/net/tcp` writes them, of both families.
fn listens(pid: u32) -> BTreeSet<String> {
    let sockets: BTreeSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("its descriptors")
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|target| {
            let text = target.to_string_lossy().into_owned();
            Some(text.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let mut found = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields[3] == "0A" && sockets.contains(fields[9]) {
                found.insert(fields[1].to_owned());
            }
        }
    }
    found
}

/// CVE-2025-9074: the engine's own interface, reached from a container. CVE-2021-4024: a port that is published on one
/// address, and open on all.
#[test]
fn nothing_listens_but_what_was_published_where_it_was() {
    let context = Context::busybox();
    let port = teller(&context, "web", "127.0.0.1::80");
    assert_eq!(listens(context.daemon_pid()), BTreeSet::new());
    let own = netd(&context).expect("netd runs");
    assert_eq!(
        listens(own),
        BTreeSet::from([format!("0100007F:{port:04X}")])
    );
}

/// CVE-2020-15257: a socket without a path is open to every container that shares the host's network.
#[test]
fn no_socket_of_the_engine_is_without_a_path() {
    let context = Context::busybox();
    context.sleeper("box", &[]);
    let shown = context.corten(&[
        "run",
        "--rm",
        "--network",
        "host",
        "busybox",
        "cat",
        "/proc/net/unix",
    ]);
    let ours = shown
        .ok()
        .lines()
        .filter_map(|line| line.split_whitespace().nth(7))
        .filter(|path| path.starts_with('@') && path.contains("corten"));
    assert_eq!(ours.count(), 0, "{shown:?}");
}

/// A neighbour sends to 127.0.0.1 by way of this host: what is published there stays there, even where the host lets such
/// packets in, and so does what listens in the host itself.
#[test]
fn localhost_is_not_reached_through_the_host() {
    let context = Context::busybox();
    let port = teller(&context, "web", "127.0.0.1::80");
    let outside = Outside::plug(&context);
    let bridge = &context.names().bridge;
    let cable = bridge.replace("cttest", "ctout");
    let allow = |interface: &str| format!("/proc/sys/net/ipv4/conf/{interface}/route_localnet");
    let line = format!("echo 1 > {}", allow("eth0"));
    outside.run(&["sh", "-c", &line]).ok();
    for words in [
        &["ip", "link", "set", "lo", "down"][..],
        &["ip", "addr", "flush", "dev", "lo"],
        &[
            "ip",
            "route",
            "add",
            "127.0.0.1/32",
            "via",
            &outside.host(),
            "src",
            &outside.address(),
        ],
    ] {
        outside.run(words).ok();
    }
    let open = TcpListener::bind("127.0.0.1:0").expect("listen");
    let own = open.local_addr().expect("its address").port();
    let reaches = |port: u16| {
        let port = port.to_string();
        // A program in place of the connection: the command ends once it is made.
        let made = ["-w", "1", "127.0.0.1", &port, "-e", "true"];
        let asked = outside.run(&[&["busybox", "nc"][..], &made].concat());
        asked.code == 0
    };
    assert!(!reaches(port));
    // The worst of hosts: the packets come in, the kernel takes them.
    if Path::new(&allow(&cable)).exists() {
        fs::write(allow(&cable), "1").expect("let them in");
    }
    assert!(reaches(own), "the way is open");
    assert!(!reaches(port), "and the port is not on it");
    assert!(ask(&format!("127.0.0.1:{port}")).is_ok());
}

/// CVE-2018-20699 and its kind: a word of a request that becomes sixty thousand things.
#[test]
fn every_port_at_once_is_published_or_refused_and_forgotten() {
    let context = Context::busybox();
    let all = "127.0.0.1:1-65535:1-65535";
    let run = context.corten(&["run", "--rm", "-p", all, "busybox", "true"]);
    if run.code != 0 {
        assert!(
            run.stderr.contains("address already in use")
                || run.stderr.contains("port is already allocated"),
            "{run:?}"
        );
    }
    let backwards = context.corten(&["run", "--rm", "-p", "90-80:90-80", "busybox", "true"]);
    assert_eq!(backwards.code, 125, "{backwards:?}");
    let (first, last) = (40_000, 41_999);
    let many = format!("127.0.0.1:{first}-{last}:{first}-{last}");
    let run = context.corten(&[
        "run", "-d", "--name", "many", "-p", &many, "busybox", "nc", "-ll", "-p", "41999", "-e",
        "cat",
    ]);
    if run.code == 0 {
        assert!(command::eventually(LIMIT, || {
            TcpStream::connect(("127.0.0.1", last)).is_ok()
        }));
        context.corten(&["rm", "-f", "many"]).ok();
    } else {
        assert!(run.stderr.contains("address already in use"), "{run:?}");
    }
    assert!(TcpListener::bind(("127.0.0.1", last)).is_ok());
}
