//! Published ports: who reaches them, with which address, and that none is left behind.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use testkit::{Context, Output, Outside, command};

const LIMIT: Duration = Duration::from_secs(10);
/// Answers every request with the address that it comes from, in the form of a socket of both families.
pub(crate) const TELL: &str = "mkdir -p /www/cgi-bin; cd /www/cgi-bin; \
    printf '#!/bin/sh\\necho; echo from $REMOTE_ADDR.\\n' > who; chmod +x who; exec httpd -f -p 80 -h /www";

/// The words that start one which does so on a network.
pub(crate) fn tells_on<'a>(network: &'a str, name: &'a str) -> [&'a str; 12] {
    [
        "run",
        "-d",
        "--name",
        name,
        "--network",
        network,
        "-p",
        "80",
        "busybox",
        "sh",
        "-c",
        TELL,
    ]
}

/// Starts a container that tells who connects; gives the host's port.
#[track_caller]
pub(crate) fn teller(context: &Context, name: &str, publish: &str) -> u16 {
    context
        .corten(&[
            "run", "-d", "--name", name, "-p", publish, "busybox", "sh", "-c", TELL,
        ])
        .ok();
    let port = context.port(name, "80");
    let address = context.inspect(name, "{{.NetworkSettings.IPAddress}}");
    assert!(
        command::eventually(LIMIT, || ask(&format!("{address}:80")).is_ok()),
        "the container listens"
    );
    port
}

/// Connects from this host and returns what is told.
pub(crate) fn ask(address: &str) -> std::io::Result<String> {
    let address: SocketAddr = address.parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(3))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /cgi-bin/who HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// Asks from outside.
#[track_caller]
pub(crate) fn fetch(outside: &Outside, address: &str) -> Output {
    let (host, port) = address.rsplit_once(':').expect("an address with a port");
    outside.get(host, port.parse().expect("a port"), "/cgi-bin/who")
}

#[test]
fn everyone_reaches_a_published_port_and_keeps_their_address() {
    let context = Context::busybox();
    let port = teller(&context, "web", "80");
    let outside = Outside::plug(&context);
    let address = context.inspect("web", "{{.NetworkSettings.IPAddress}}");
    let gateway = context.inspect("web", "{{.NetworkSettings.Gateway}}");
    // A neighbour, by the host's address; not by the container's own.
    let told = fetch(&outside, &format!("{}:{port}", outside.host()));
    assert!(told.ok().contains(&outside.address()), "{told:?}");
    let direct = fetch(&outside, &format!("{address}:80"));
    assert_ne!(direct.code, 0, "{direct:?}");
    // This host, by each of its addresses.
    for (to, from) in [
        (outside.host(), &outside.host()),
        ("127.0.0.1".to_owned(), &gateway),
        ("[::1]".to_owned(), &gateway),
    ] {
        let told = ask(&format!("{to}:{port}")).unwrap();
        assert!(
            told.contains(from.as_str()),
            "{to}: {told} instead of {from}"
        );
    }
    // Another container, and the container itself: their network takes them for the host, so that answers come back this way.
    let asks = format!(
        "printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {gateway} {port} | grep 'from .*{gateway}'"
    );
    for who in [&["run", "--rm", "busybox"][..], &["exec", "web"]] {
        context.corten(&[who, &["sh", "-c", &asks]].concat()).ok();
    }
    let shown = context.corten(&["ps", "--format", "{{.Ports}}"]);
    assert_eq!(
        shown.ok(),
        format!("0.0.0.0:{port}->80/tcp, [::]:{port}->80/tcp")
    );
}

#[test]
fn what_is_published_on_localhost_stays_there() {
    let context = Context::busybox();
    let port = teller(&context, "web", "127.0.0.1::80");
    let outside = Outside::plug(&context);
    assert!(ask(&format!("127.0.0.1:{port}")).is_ok());
    let told = fetch(&outside, &format!("{}:{port}", outside.host()));
    assert_ne!(told.code, 0, "{told:?}");
    // Nor does a container reach the host's own localhost through the bridge.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port().to_string();
    outside.run(&["ip", "route", "add", "127.0.0.0/8", "via", &outside.host()]);
    let inside = context.corten(&[
        "run", "--rm", "--privileged", "busybox", "sh", "-c",
        &format!("ip link set lo down; ip route add 127.0.0.1/32 via $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'); nc -w 1 127.0.0.1 {own}"),
    ]);
    assert_ne!(inside.code, 0, "{inside:?}");
}

#[test]
fn a_port_in_use_fails_in_dockers_words_before_anything_runs() {
    let context = Context::busybox();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let run = context.corten(&[
        "run",
        "--name",
        "web",
        "-p",
        &format!("127.0.0.1:{port}:80"),
        "busybox",
        "true",
    ]);
    let said = run.fails(125);
    let expected = format!("failed to bind host port for 127.0.0.1:{port}:10.219.");
    assert!(said.contains("failed to set up container networking: driver failed programming external connectivity on endpoint web ("), "{said}");
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains(":80/tcp: address already in use"), "{said}");
    assert_eq!(context.inspect("web", "{{.State.Status}}"), "created");
    drop(taken);
    context.corten(&["start", "-a", "web"]).ok();
    // The port of another container.
    let port = teller(&context, "one", "127.0.0.1::80");
    let two = context.corten(&[
        "run",
        "-p",
        &format!("127.0.0.1:{port}:80"),
        "busybox",
        "true",
    ]);
    let said = two.fails(125);
    assert!(
        said.contains(&format!(
            "Bind for 127.0.0.1:{port} failed: port is already allocated"
        )),
        "{said}"
    );
}

#[test]
fn a_port_is_free_once_its_container_has_ended_or_failed() {
    let context = Context::busybox();
    let port = teller(&context, "web", "80");
    let publish = format!("{port}:80");
    context.corten(&["rm", "-f", "web"]).ok();
    context
        .corten(&["run", "--rm", "-p", &publish, "busybox", "/does/not/exist"])
        .fails(127);
    context
        .corten(&["run", "--rm", "-p", &publish, "busybox", "true"])
        .ok();
    TcpListener::bind(("0.0.0.0", port)).unwrap();
    TcpListener::bind(("::", port)).unwrap();
}

#[test]
fn ports_outlive_the_daemon_and_the_next_one_knows_them() {
    let mut context = Context::busybox();
    let port = teller(&context, "web", "80");
    context.kill_daemon();
    assert!(ask(&format!("127.0.0.1:{port}")).is_ok());
    assert!(ask(&format!("[::1]:{port}")).is_ok());
    assert!(TcpListener::bind(("0.0.0.0", port)).is_err(), "it is held");
    context.start_daemon();
    assert_eq!(context.port("web", "80"), port);
    assert!(ask(&format!("127.0.0.1:{port}")).is_ok());
    assert!(ask(&format!("[::1]:{port}")).is_ok());
    context.corten(&["rm", "-f", "web"]).ok();
    TcpListener::bind(("0.0.0.0", port)).unwrap();
}

#[test]
fn a_killed_netd_is_replaced_and_holds_the_same_ports() {
    let context = Context::busybox();
    let port = teller(&context, "web", "80");
    let pid = netd(&context).expect("netd runs");
    command::signal(pid, "KILL");
    assert!(command::eventually(LIMIT, || {
        netd(&context).is_some_and(|next| next != pid) && ask(&format!("[::1]:{port}")).is_ok()
    }));
    assert!(TcpListener::bind(("0.0.0.0", port)).is_err(), "it is held");
    context.corten(&["rm", "-f", "web"]).ok();
    assert!(
        command::eventually(LIMIT, || netd(&context).is_none()),
        "without work it goes away"
    );
}

/// The context's netd: in its group of monitors.
pub(crate) fn netd(context: &Context) -> Option<u32> {
    let group = format!("/{}", context.names().cgroup);
    std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .find_map(|entry| {
            let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).ok();
            let ours = read("cmdline")?.contains("netd") && read("cgroup")?.contains(&group);
            ours.then(|| entry.file_name().to_str()?.parse().ok())
                .flatten()
        })
}

/// Sends datagrams back to where they come from.
const ECHO: &str = "use Socket; socket(S, PF_INET, SOCK_DGRAM, 17); bind(S, sockaddr_in(7, INADDR_ANY)) or die; \
    while (my $who = recv(S, my $text, 65536, 0)) { send(S, $text, 0, $who) }";

#[test]
fn datagrams_find_their_way_and_back() {
    let context = Context::new();
    context.load("debian-bookworm");
    context
        .corten(&[
            "run",
            "-d",
            "--name",
            "echo",
            "-p",
            "7/udp",
            "debian:bookworm",
            "perl",
            "-e",
            ECHO,
        ])
        .ok();
    let port = context.port("echo", "7/udp");
    for (own, host) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]")] {
        let socket = UdpSocket::bind(own).unwrap();
        socket.connect(format!("{host}:{port}")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let mut buffer = [0; 64];
        let answered = command::eventually(LIMIT, || {
            _ = socket.send(b"hello");
            matches!(socket.recv(&mut buffer), Ok(5))
        });
        assert!(answered, "{host}");
    }
}

#[test]
fn half_closed_connections_get_their_answer_through_the_proxy() {
    let context = Context::busybox();
    context
        .corten(&[
            "run", "-d", "--name", "count", "-p", "80", "busybox", "nc", "-ll", "-p", "80", "-e",
            "wc", "-c",
        ])
        .ok();
    let port = context.port("count", "80");
    let address: SocketAddr = format!("[::1]:{port}").parse().unwrap();
    let send = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(&vec![b'x'; 3_000_000])?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    assert!(command::eventually(LIMIT, || send().is_ok_and(|text| text.trim() == "3000000")));
}

#[test]
fn exposed_ports_are_published_together_and_ranges_shown_as_ranges() {
    let context = Context::busybox();
    context.sleeper("all", &["-P", "--expose", "80-82", "--expose", "53/udp"]);
    let lines = context.corten(&["port", "all"]);
    assert_eq!(lines.ok().lines().count(), 8, "{lines:?}");
    let first = free_range();
    let last = first + 19;
    let publish = format!("127.0.0.1:{first}-{last}:{first}-{last}");
    context.sleeper("many", &["-p", &publish]);
    let shown = context.corten(&["ps", "--filter", "name=many", "--format", "{{.Ports}}"]);
    assert_eq!(
        shown.ok(),
        format!("127.0.0.1:{first}-{last}->{first}-{last}/tcp")
    );
    let found = context.corten(&["ps", "-q", "--filter", &format!("publish={first}")]);
    assert_eq!(found.ok().lines().count(), 1);
}

/// Twenty neighbouring ports that nobody has.
fn free_range() -> u16 {
    (20_000..30_000)
        .step_by(20)
        .find(|first| {
            (*first..first + 20).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        })
        .expect("a free range")
}
