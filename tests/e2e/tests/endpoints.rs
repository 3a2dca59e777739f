//! What is asked of a place on a network, as the container sees it.

use std::net::UdpSocket;
use std::time::Duration;

use testkit::{Context, Outside, command};

use crate::ports::{ask, fetch, tells_on};

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn addresses_that_were_asked_for_are_the_containers() {
    let context = Context::busybox();
    context
        .docker(&[
            "network",
            "create",
            "--ipv6",
            "--subnet",
            "fd9d:beef::/64",
            "--subnet",
            "10.217.251.0/24",
            "six",
        ])
        .ok();
    let asked = [
        "--ip",
        "10.217.251.9",
        "--ip6",
        "fd9d:beef::9",
        "--mac-address",
        "02:00:00:00:00:09",
        "--link-local-ip",
        "169.254.7.7",
        "--link-local-ip",
        "fe80::77",
    ];
    for docker in [true, false] {
        let words = [
            &["run", "--rm", "--network", "six"],
            &asked[..],
            &["busybox", "ip", "addr", "show", "eth0"],
        ]
        .concat();
        let shown = if docker {
            context.docker(&words)
        } else {
            context.corten(&words)
        };
        for line in [
            "inet 10.217.251.9/24",
            "inet6 fd9d:beef::9/64",
            "link/ether 02:00:00:00:00:09",
            "inet 169.254.7.7/16",
            "inet6 fe80::77/64",
        ] {
            assert!(shown.ok().contains(line), "{line}: {shown:?}");
        }
    }
    let outside = context.docker(&[
        "run",
        "--rm",
        "--network",
        "six",
        "--ip6",
        "fd9d:dead::9",
        "busybox",
        "true",
    ]);
    assert!(
        outside
            .fails(125)
            .contains("contain the IP address fd9d:dead::9"),
        "{outside:?}"
    );
}

#[test]
fn the_default_route_leads_through_the_network_with_the_highest_priority() {
    let context = Context::busybox();
    let number: u8 = context.names().bridge["cttest".len()..]
        .parse()
        .expect("a number");
    let pool = format!("10.{}", 100 + u16::from(number));
    let mut gateways = Vec::new();
    for name in ["blue", "red"] {
        context
            .corten(&["network", "create", "--ipv6=false", name])
            .ok();
        let format = "{{(index .IPAM.Config 0).Gateway}}";
        let gateway = context.corten(&["network", "inspect", "-f", format, name]);
        // Each test's daemon has a pool of its own, `10.N.0.0/16`, in pieces of 24 bits.
        assert_eq!(gateway.ok(), format!("{pool}.{}.1", gateways.len()));
        gateways.push(gateway.ok().to_owned());
    }
    let route = |first: &str, second: &str| {
        let shown = context.docker(&[
            "run",
            "--rm",
            "--network",
            first,
            "--network",
            second,
            "busybox",
            "ip",
            "route",
            "show",
            "default",
        ]);
        shown.ok().to_owned()
    };
    assert!(
        route("blue", "red").contains(&gateways[0]),
        "among equals, by name"
    );
    assert!(route("name=blue", "name=red,gw-priority=1").contains(&gateways[1]));
    assert!(route("name=blue,gw-priority=2", "name=red,gw-priority=1").contains(&gateways[0]));
}

#[test]
fn options_of_the_resolver_are_in_its_file() {
    let context = Context::busybox();
    context.corten(&["network", "create", "own"]).ok();
    for network in ["bridge", "own"] {
        let conf = context.docker(&[
            "run",
            "--rm",
            "--network",
            network,
            "--dns-option",
            "ndots:3",
            "--dns-option",
            "timeout:2",
            "--dns-search",
            "example.org",
            "busybox",
            "cat",
            "/etc/resolv.conf",
        ]);
        assert!(conf.ok().contains("options ndots:3 timeout:2"), "{conf:?}");
        assert!(conf.ok().contains("search example.org"), "{conf:?}");
    }
}

#[test]
fn a_port_of_ipv6_leads_to_the_container_with_its_clients_address() {
    let context = Context::busybox();
    let outside = Outside::plug(&context);
    context.corten(&["network", "create", "--ipv6", "six"]).ok();
    context.corten(&tells_on("six", "web")).ok();
    let port = context.port("web", "80");
    assert!(command::eventually(LIMIT, || ask(&format!("[::1]:{port}")).is_ok()));
    let told = fetch(&outside, &format!("{}:{port}", outside.host6()));
    assert!(told.ok().contains(&outside.address6()), "{told:?}");
    // Not by the container's own address, and not what is not published.
    let own = context.inspect("web", "{{.NetworkSettings.Networks.six.GlobalIPv6Address}}");
    assert_ne!(fetch(&outside, &format!("{own}:80")).code, 0);
}

#[test]
fn a_port_of_sctp_is_made_or_the_kernels_word_is_told() {
    let context = Context::busybox();
    let run = context.docker(&[
        "run",
        "-d",
        "--name",
        "keeper",
        "-p",
        "127.0.0.1:9999:9999/sctp",
        "busybox",
        "sleep",
        "1000",
    ]);
    if run.code == 0 {
        assert_eq!(
            context.docker(&["port", "keeper"]).ok(),
            "9999/sctp -> 127.0.0.1:9999"
        );
        let table = format!("{}-ports", context.names().bridge);
        let rules =
            command::run(std::process::Command::new("nft").args(["list", "table", "ip", &table]));
        assert!(rules.ok().contains("sctp . 9999"), "{rules:?}");
    } else {
        assert!(
            run.fails(125).contains("9999/sctp: protocol not supported"),
            "{run:?}"
        );
    }
}

/// Says its own address to whoever sends a datagram.
const WHERE: &str = "use Socket; my $own = qx(hostname -i); socket(S, PF_INET, SOCK_DGRAM, 17); \
    bind(S, sockaddr_in(7, INADDR_ANY)) or die; while (my $who = recv(S, my $text, 65536, 0)) { send(S, $own, 0, $who) }";

#[test]
fn datagrams_of_a_client_that_stays_find_a_container_that_moved() {
    let context = Context::new();
    context.load("debian-bookworm");
    let outside = Outside::plug(&context);
    let run = |publish: &str| {
        let options = ["run", "-d", "--name", "echo", "-p", publish];
        let program = ["debian:bookworm", "perl", "-e", WHERE];
        context.corten(&[&options[..], &program].concat()).ok();
        context.inspect("echo", "{{.NetworkSettings.IPAddress}}")
    };
    let first = run("7/udp");
    let number = context.port("echo", "7/udp");
    context.corten(&["rm", "-f", "echo"]).ok();
    let run = || run(&format!("{number}:7/udp"));
    let socket = UdpSocket::bind((outside.host(), 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let host: std::net::SocketAddr = format!("{}:{number}", outside.host()).parse().unwrap();
    let answered = |expected: &str| {
        command::eventually(LIMIT, || {
            _ = socket.send_to(b"where", host);
            let mut buffer = [0; 64];
            matches!(socket.recv(&mut buffer), Ok(length) if String::from_utf8_lossy(&buffer[..length]).trim() == expected)
        })
    };
    let second = run();
    assert_ne!(first, second);
    assert!(answered(&second), "{second}");
    context.corten(&["restart", "-t", "0", "echo"]).ok();
    let third = context.inspect("echo", "{{.NetworkSettings.IPAddress}}");
    assert_ne!(second, third);
    assert!(answered(&third), "{third}");
}

#[test]
fn a_places_interface_has_the_name_and_the_settings_that_were_asked_for() {
    let context = Context::busybox();
    context
        .docker(&[
            "network",
            "create",
            "--ipv6=false",
            "-o",
            "com.docker.network.container_iface_prefix=web",
            "-o",
            "com.docker.network.bridge.inhibit_ipv4=true",
            "named",
        ])
        .ok();
    context
        .docker(&["network", "create", "--ipv6=false", "plain"])
        .ok();
    let option = |name: &str| format!("\"driver-opt=com.docker.network.endpoint.{name}\"");
    let options = format!(
        "name=plain,{},{}",
        option("ifname=first"),
        option("sysctls=net.ipv4.conf.IFNAME.log_martians=1")
    );
    let shown = context.docker(&[
        "run",
        "--rm",
        "--network",
        &options,
        "--network",
        "named",
        "busybox",
        "sh",
        "-c",
        "ls /sys/class/net; cat /proc/sys/net/ipv4/conf/first/log_martians",
    ]);
    assert_eq!(shown.ok(), "first\nlo\nweb0\n1");
    let id = context.corten(&["network", "inspect", "-f", "{{.Id}}", "named"]);
    let bridge = format!("br-{}", &id.ok()[..12]);
    let host = command::run(std::process::Command::new("ip").args(["-4", "addr", "show", &bridge]));
    assert!(!host.ok().contains("inet "), "{host:?}");
    let wrong = context.docker(&[
        "run",
        "--rm",
        "--network",
        "name=plain,driver-opt=com.docker.network.endpoint.sysctls=kernel.x=1",
        "busybox",
        "true",
    ]);
    assert!(
        wrong.fails(125).contains("expected net.X.Y.IFNAME.Z=V"),
        "{wrong:?}"
    );
}
