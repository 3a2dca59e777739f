//! Names of containers, answered at 127.0.0.11 in each one's namespace.

use std::net::UdpSocket;
use std::time::Duration;

use testkit::{Context, Output, command};

const LIMIT: Duration = Duration::from_secs(10);

/// A daemon with a network of one's own, and `web` on it; the images are there.
fn scene() -> Context {
    let context = Context::busybox();
    context.load("debian-bookworm");
    context.corten(&["network", "create", "shop"]).ok();
    context.sleeper("web", &["--network", "shop", "--network-alias", "www"]);
    context
}

fn address(context: &Context, name: &str, network: &str) -> String {
    let template = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    context.inspect(name, &template)
}

/// Starts a container that only waits, with the C library's resolver in it.
#[track_caller]
fn client(context: &Context, name: &str, more: &[&str]) -> String {
    let mut words = vec!["run", "-d", "--name", name, "--network", "shop"];
    words.extend_from_slice(more);
    words.extend_from_slice(&["debian:bookworm", "sleep", "1000"]);
    context.corten(&words).ok();
    context.inspect(name, "{{.State.Pid}}")
}

/// Asks as a program in the container does; needs no daemon.
#[track_caller]
pub(crate) fn getent(pid: &str, name: &str) -> Output {
    let mut command = std::process::Command::new("nsenter");
    command::run(command.args(["-t", pid, "-a", "getent", "ahosts", name]))
}

/// Asks 127.0.0.11 in the container's network namespace.
#[track_caller]
fn nslookup(pid: &str, words: &[&str]) -> Output {
    let mut command = std::process::Command::new("nsenter");
    command.args(["-t", pid, "-n", "busybox", "nslookup"]);
    command::run(command.args(words).arg("127.0.0.11"))
}

#[test]
fn names_aliases_and_ids_lead_to_their_containers() {
    let context = scene();
    let pid = client(&context, "client", &["--link", "web:backend"]);
    let web = address(&context, "web", "shop");
    let id = context.inspect("web", "{{.Id}}");
    for name in ["web", "WEB", "www", "web.shop", "backend", &id[..12]] {
        let found = getent(&pid, name);
        assert!(found.ok().contains(&web), "{name}: {found:?}");
    }
    let back = nslookup(&pid, &[&web]);
    assert!(back.stdout.contains("web.shop"), "{back:?}");
    let conf = context.corten(&["exec", "client", "cat", "/etc/resolv.conf"]);
    assert!(conf.ok().starts_with("nameserver 127.0.0.11"), "{conf:?}");
    assert!(conf.stdout.contains("ndots:0"), "{conf:?}");
    assert_eq!(getent(&pid, "host.docker.internal").code, 0);
    // Names change with their containers.
    context.corten(&["rename", "web", "front"]).ok();
    assert_eq!(getent(&pid, "front").code, 0);
    assert_ne!(getent(&pid, "web").code, 0);
    context.corten(&["rm", "-f", "front"]).ok();
    assert_ne!(getent(&pid, "www").code, 0);
}

#[test]
fn other_networks_have_other_names() {
    let context = scene();
    context.corten(&["network", "create", "other"]).ok();
    context
        .corten(&[
            "run",
            "-d",
            "--name",
            "alone",
            "--network",
            "other",
            "debian:bookworm",
            "sleep",
            "1000",
        ])
        .ok();
    let pid = context.inspect("alone", "{{.State.Pid}}");
    assert_ne!(getent(&pid, "web").code, 0);
    context
        .corten(&["network", "connect", "shop", "alone"])
        .ok();
    assert_eq!(getent(&pid, "web").code, 0);
    context
        .corten(&["network", "disconnect", "shop", "alone"])
        .ok();
    assert_ne!(getent(&pid, "web").code, 0);
    // Port 53 is the container's own.
    context
        .corten(&["run", "--rm", "--network", "shop", "debian:bookworm", "perl", "-e",
            "use Socket; socket(S, PF_INET, SOCK_DGRAM, 17); bind(S, sockaddr_in(53, INADDR_ANY)) or die $!"])
        .ok();
}

#[test]
fn a_shared_alias_leads_to_each_of_its_owners() {
    let context = Context::busybox();
    context
        .corten(&["network", "create", "--ipv6=false", "shop"])
        .ok();
    for name in ["one", "two"] {
        context.sleeper(name, &["--network", "shop", "--network-alias", "www"]);
    }
    let pid = context.inspect("one", "{{.State.Pid}}");
    let mut firsts = std::collections::BTreeSet::new();
    assert!(
        command::eventually(LIMIT, || {
            // It asks for both families, as programs do.
            let found = nslookup(&pid, &["www"]);
            let mut addresses = found
                .stdout
                .lines()
                .filter_map(|line| line.strip_prefix("Address: "));
            firsts.extend(addresses.next().map(str::to_owned));
            firsts.len() == 2
        }),
        "{firsts:?}"
    );
}

#[test]
fn names_outlive_the_daemon_and_netd() {
    let mut context = scene();
    let pid = client(&context, "client", &[]);
    context.kill_daemon();
    assert_eq!(getent(&pid, "web").code, 0);
    context.start_daemon();
    assert_eq!(getent(&pid, "web").code, 0);
    let netd = crate::ports::netd(&context).expect("netd runs");
    command::signal(netd, "KILL");
    assert!(command::eventually(LIMIT, || {
        crate::ports::netd(&context).is_some_and(|next| next != netd)
            && getent(&pid, "web").code == 0
    }));
}

#[test]
fn a_netd_that_dies_again_and_again_is_replaced_with_all_names() {
    let context = scene();
    let pid = client(&context, "client", &[]);
    // A new name is told to whichever runs, or to the next.
    for name in ["front", "web"].repeat(5) {
        for _ in 0..2 {
            if let Some(netd) = crate::ports::netd(&context) {
                command::signal(netd, "KILL");
            }
        }
        let old = if name == "web" { "front" } else { "web" };
        context.corten(&["rename", old, name]).ok();
    }
    let known = || {
        ["web", "www"]
            .iter()
            .all(|name| getent(&pid, name).code == 0)
    };
    assert!(command::eventually(LIMIT, known));
}

#[test]
fn a_container_that_ends_while_it_is_renamed_has_no_name_left() {
    let context = scene();
    let pid = client(&context, "client", &[]);
    let web = context.inspect("web", "{{.State.Pid}}");
    let netd = crate::ports::netd(&context).expect("netd runs");
    // While it says nothing, the container's end and its new name wait for it, one behind the other.
    command::signal(netd, "STOP");
    command::signal(web.parse().expect("a number"), "KILL");
    std::thread::sleep(Duration::from_millis(500));
    let renaming = context.corten_start(&["rename", "web", "front"]);
    std::thread::sleep(Duration::from_millis(500));
    command::signal(netd, "CONT");
    renaming.wait(LIMIT).expect("it is answered").ok();
    context.corten(&["wait", "front"]).ok();
    for name in ["front", "web", "www"] {
        assert_ne!(getent(&pid, name).code, 0, "{name}");
    }
    context.corten(&["start", "front"]).ok();
    let front = context.inspect("front", "{{.State.Pid}}");
    let found = nslookup(&front, &["-type=a", "client"]);
    let client = address(&context, "client", "shop");
    assert!(found.stdout.contains(&client), "{found:?}");
}

#[test]
fn other_questions_go_to_the_resolvers_and_not_from_internal_networks() {
    let context = scene();
    let gateway = context.inspect(
        "web",
        "{{(index .NetworkSettings.Networks \"shop\").Gateway}}",
    );
    let server =
        UdpSocket::bind((gateway.as_str(), 53)).expect("the bridge's address has no other server");
    server
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let answering = std::thread::spawn(move || answer_all(&server));
    // The first server is silent.
    let pid = client(
        &context,
        "client",
        &["--dns", "192.0.2.1", "--dns", &gateway],
    );
    let found = nslookup(&pid, &["-type=a", "known.test"]);
    assert!(found.stdout.contains("192.0.2.99"), "{found:?}");
    let none = nslookup(&pid, &["-type=a", "unknown.test"]);
    assert!(
        format!("{}{}", none.stdout, none.stderr).contains("NXDOMAIN"),
        "{none:?}"
    );
    context
        .corten(&["network", "create", "--internal", "closed"])
        .ok();
    context.sleeper("inside", &["--network", "closed", "--dns", &gateway]);
    let inside = context.inspect("inside", "{{.State.Pid}}");
    let refused = nslookup(&inside, &["-type=a", "known.test"]);
    assert!(
        format!("{}{}", refused.stdout, refused.stderr).contains("SERVFAIL"),
        "{refused:?}"
    );
    _ = nslookup(&pid, &["-type=a", "stop.test"]);
    assert_eq!(
        answering.join().expect("the server ends"),
        3,
        "nothing came from the internal network"
    );
}

#[test]
fn servers_that_were_given_are_asked_from_inside_the_container() {
    /// Gives every name the same address.
    const SERVER: &str = "use Socket; socket(S, PF_INET, SOCK_DGRAM, 17); bind(S, sockaddr_in(53, INADDR_LOOPBACK)) or die; \
        while (my $who = recv(S, my $asked, 512, 0)) { send(S, substr($asked, 0, 2) . pack('H*', '81800001000100000000') . \
        substr($asked, 12) . pack('H*', 'c00c00010001000000090004c0000263'), 0, $who) }";
    let mut context = scene();
    let asked = [
        "run",
        "-d",
        "--name",
        "client",
        "--network",
        "shop",
        "--dns",
        "127.0.0.1",
        "debian:bookworm",
        "perl",
        "-e",
        SERVER,
    ];
    context.corten(&asked).ok();
    let pid = context.inspect("client", "{{.State.Pid}}");
    let answers = || {
        let found = nslookup(&pid, &["-type=a", "known.test"]);
        found.stdout.contains("192.0.2.99")
    };
    assert!(command::eventually(LIMIT, answers));
    context.kill_daemon();
    assert!(answers());
    context.start_daemon();
    let netd = crate::ports::netd(&context).expect("netd runs");
    command::signal(netd, "KILL");
    assert!(command::eventually(LIMIT, answers));
}

/// Knows `known.test`, denies all else, ends with `stop.test`; says how many questions came.
fn answer_all(server: &UdpSocket) -> usize {
    let mut buffer = [0; 512];
    let mut count = 0;
    while let Ok((length, from)) = server.recv_from(&mut buffer) {
        count += 1;
        let question = &buffer[..length];
        let has = |name: &[u8]| question.windows(name.len()).any(|part| part == name);
        let mut answer = question.to_vec();
        (answer[2], answer[3]) = (0x81, 0x80);
        answer[8..12].fill(0);
        if has(b"\x05known") {
            answer[7] = 1;
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 99]);
        } else {
            answer[3] |= 3;
        }
        server.send_to(&answer, from).expect("it is sent");
        if has(b"\x04stop") {
            break;
        }
    }
    count
}
