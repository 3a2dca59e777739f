//! What others do to networks, and what happens at once: rules flushed, bridges deleted, addresses used up, names wanted
//! twice, daemons that come and go under open connections.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use testkit::{Context, Outside, Settings, command};

use crate::ports::{ask, teller};

const LIMIT: Duration = Duration::from_secs(10);

fn address(context: &Context, name: &str, network: &str) -> String {
    let template = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    context.inspect(name, &template)
}

fn pings(context: &Context, name: &str, address: &str) -> bool {
    context
        .corten(&["exec", name, "ping", "-c", "1", "-W", "1", address])
        .code
        == 0
}

#[test]
fn flushed_rules_come_back_while_containers_come_and_go() {
    let context = Context::busybox();
    let outside = Outside::plug(&context);
    let port = teller(&context, "web", "80");
    let local = teller(&context, "local", "127.0.0.1::80");
    context
        .corten(&["network", "create", "--ipv6=false", "apart"])
        .ok();
    context.sleeper("other", &["--network", "apart"]);
    let bridge = context.names().bridge.clone();
    let ports = format!("{bridge}-ports");
    for (family, table) in [("inet", &bridge), ("ip", &ports), ("ip6", &ports)] {
        command::run(Command::new("nft").args(["delete", "table", family, table]));
    }
    // Nobody waits for the rules: netd listens behind them.
    assert!(ask(&format!("127.0.0.1:{port}")).is_ok());
    let came_back = command::eventually(Duration::from_secs(5), || {
        context.corten(&["run", "--rm", "busybox", "true"]).ok();
        let told = outside.get(&outside.host(), port, "/cgi-bin/who");
        told.stdout.contains(&outside.address())
    });
    assert!(came_back, "clients keep their address again");
    let web = address(&context, "web", "bridge");
    assert!(!pings(&context, "other", &web), "networks are apart again");
    assert_ne!(outside.get(&web, 80, "/cgi-bin/who").code, 0);
    let told = outside.get(&outside.host(), local, "/cgi-bin/who");
    assert_ne!(told.code, 0, "localhost is this host's again");
    assert!(ask(&format!("127.0.0.1:{local}")).is_ok());
}

#[test]
fn a_deleted_bridge_comes_back_under_its_containers() {
    let mut context = Context::busybox();
    let port = teller(&context, "web", "80");
    let id = context
        .corten(&["network", "create", "--ipv6=false", "red"])
        .ok()
        .to_owned();
    for name in ["one", "two"] {
        context.sleeper(name, &["--network", "red"]);
    }
    let two = address(&context, "two", "red");
    let bridges = [context.names().bridge.clone(), format!("br-{}", &id[..12])];
    let delete = || {
        for bridge in &bridges {
            command::run(Command::new("ip").args(["link", "delete", bridge])).ok();
        }
    };
    let connected = |context: &Context| {
        ask(&format!("127.0.0.1:{port}")).is_ok() && pings(context, "one", &two)
    };
    delete();
    assert!(
        command::eventually(LIMIT, || connected(&context)),
        "{}",
        context.daemon_log()
    );
    for bridge in &bridges {
        let said = format!("the bridge {bridge} of network ");
        assert!(context.daemon_log().contains(&said), "{said}");
    }
    // Those that start afterwards are neighbours.
    context.sleeper("three", &["--network", "red"]);
    assert!(pings(&context, "three", &two));
    // While no daemon runs: the next one makes them.
    context.kill_daemon();
    delete();
    context.start_daemon();
    assert!(connected(&context), "{}", context.daemon_log());
}

#[test]
fn a_subnet_without_addresses_says_so_and_keeps_nothing() {
    let context = Context::busybox();
    let subnet = context.subnet(250, 29);
    context
        .corten(&[
            "network",
            "create",
            "--ipv6=false",
            "--subnet",
            &subnet,
            "small",
        ])
        .ok();
    // Eight, without the edges and the gateway.
    for number in 0..5 {
        context.sleeper(&format!("n{number}"), &["--network", "small"]);
    }
    let late = [
        "run",
        "--name",
        "late",
        "--network",
        "small",
        "busybox",
        "true",
    ];
    let refused = context.corten(&late);
    let said = refused.fails(125);
    assert!(
        said.contains("no available IPv4 addresses on this network's address pools: small ("),
        "{said}"
    );
    context.sleeper("other", &[]);
    let connected = context.corten(&["network", "connect", "small", "other"]);
    assert!(connected.fails(1).contains("no available IPv4 addresses"));
    let places = context.inspect(
        "other",
        "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}",
    );
    assert_eq!(places.trim(), "bridge");
    context.corten(&["rm", "-f", "n2"]).ok();
    context.corten(&["start", "-a", "late"]).ok();
    context
        .corten(&["network", "connect", "small", "other"])
        .ok();
}

#[test]
fn pools_without_subnets_say_so_and_keep_nothing() {
    let context = Context::with(Settings {
        arguments: ["--default-address-pool", "base=10.217.0.0/24,size=28"]
            .map(str::to_owned)
            .into(),
        ..Settings::default()
    });
    let create = |name: &str| context.corten(&["network", "create", "--ipv6=false", name]);
    for number in 0..16 {
        create(&format!("n{number}")).ok();
    }
    let refused = create("late");
    let said = refused.fails(1);
    assert!(
        said.contains("all predefined address pools have been fully subnetted"),
        "{said}"
    );
    context.corten(&["network", "rm", "n7"]).ok();
    create("late").ok();
    let listed = context.corten(&["network", "ls", "-q", "--filter", "type=custom"]);
    assert_eq!(listed.ok().lines().count(), 16);
}

/// Sends the same request from eight clients at once; gives the states of the answers, sorted.
fn at_once(context: &Context, path: &str, body: &serde_json::Value) -> Vec<u16> {
    let mut states: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| context.request("POST", path, Some(body))))
            .collect();
        let answers = threads
            .into_iter()
            .map(|thread| thread.join().expect("a client"));
        answers
            .map(|answer| answer.expect("an answer").status)
            .collect()
    });
    states.sort_unstable();
    states
}

#[test]
fn of_many_who_want_a_name_one_gets_it() {
    let context = Context::busybox();
    let mut expected = vec![409; 8];
    expected[0] = 201;
    let network = json!({"Name": "wanted", "EnableIPv6": false});
    assert_eq!(at_once(&context, "/networks/create", &network), expected);
    let listed = context.corten(&["network", "ls", "-q", "--filter", "name=wanted"]);
    assert_eq!(listed.ok().lines().count(), 1);
    let container = json!({"Image": "busybox", "Cmd": ["sleep", "1000"],
        "NetworkingConfig": {"EndpointsConfig": {"wanted": {"Aliases": ["www"]}}}});
    let path = "/containers/create?name=wanted";
    assert_eq!(at_once(&context, path, &container), expected);
    context.corten(&["start", "wanted"]).ok();
    // One place on a network, however often it is asked for.
    context
        .corten(&["network", "create", "--ipv6=false", "more"])
        .ok();
    let place = json!({"Container": "wanted"});
    let mut expected = vec![403; 8];
    expected[0] = 200;
    let connected = at_once(&context, "/networks/more/connect", &place);
    assert_eq!(connected, expected);
    let mut expected = vec![200];
    let disconnected = at_once(&context, "/networks/more/disconnect", &place);
    expected.extend(vec![disconnected[7]; 7]);
    assert_eq!(disconnected, expected);
    assert!(disconnected[7] >= 400, "{disconnected:?}");
    let inside = context.corten(&["exec", "wanted", "ls", "/sys/class/net"]);
    let names: BTreeSet<&str> = inside.ok().split_whitespace().collect();
    assert_eq!(names, BTreeSet::from(["eth0", "lo"]));
}

#[test]
fn a_network_is_removed_or_joined_and_never_both() {
    let context = Context::busybox();
    context.sleeper("mover", &[]);
    for _ in 0..12 {
        context
            .corten(&["network", "create", "--ipv6=false", "fleeting"])
            .ok();
        let place = json!({"Container": "mover"});
        let status = |method: &str, path: &str, body: Option<&serde_json::Value>| {
            let answer = context.request(method, path, body).expect("an answer");
            answer.status
        };
        let (joined, removed) = std::thread::scope(|scope| {
            let join = "/networks/fleeting/connect";
            let join = scope.spawn(|| status("POST", join, Some(&place)));
            let removed = status("DELETE", "/networks/fleeting", None);
            (join.join().expect("a client"), removed)
        });
        match (joined, removed) {
            (200, 403) => {
                let left = context.corten(&["network", "disconnect", "fleeting", "mover"]);
                left.ok();
                context.corten(&["network", "rm", "fleeting"]).ok();
            }
            (404 | 403, 204) => {}
            other => panic!("joined and removed: {other:?}"),
        }
        let inside = context.corten(&["exec", "mover", "ls", "/sys/class/net"]);
        assert_eq!(inside.ok().split_whitespace().count(), 2, "{inside:?}");
    }
}

/// A connection on which everything that is said comes back.
struct Echo(BufReader<TcpStream>);

impl Echo {
    fn open(address: &str) -> Self {
        let address: SocketAddr = address.parse().expect("an address");
        let stream = TcpStream::connect(address).expect("it is answered");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        Self(BufReader::new(stream))
    }

    #[track_caller]
    fn check(&mut self, word: &str) {
        let mut line = String::new();
        writeln!(self.0.get_mut(), "{word}").expect("it is sent");
        self.0.read_line(&mut line).expect("it comes back");
        assert_eq!(line.trim(), word);
    }
}

#[test]
fn connections_outlive_the_daemons_deaths_and_restarts() {
    let mut context = Context::busybox();
    context
        .corten(&[
            "run", "-d", "--name", "echo", "-p", "7", "busybox", "nc", "-ll", "-p", "7", "-e",
            "cat",
        ])
        .ok();
    let echo = address(&context, "echo", "bridge");
    context
        .corten(&[
            "run", "-d", "--name", "pinger", "busybox", "ping", "-i", "0.1", &echo,
        ])
        .ok();
    let port = context.port("echo", "7");
    assert!(command::eventually(LIMIT, || TcpStream::connect((
        echo.as_str(),
        7
    ))
    .is_ok()));
    // Straight to the container, through the kernel's translation, and through netd.
    let mut streams = [
        format!("{echo}:7"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
    ]
    .map(|address| Echo::open(&address));
    let mut check = |word: &str| streams.iter_mut().for_each(|stream| stream.check(word));
    check("begun");
    context.kill_daemon();
    check("killed");
    context.start_daemon();
    check("started");
    context.stop_daemon();
    check("stopped");
    context.start_daemon();
    check("started again");
    // Not one answer is missing.
    context.corten(&["kill", "-s", "INT", "pinger"]).ok();
    context.corten(&["wait", "pinger"]).ok();
    let logs = context.corten(&["logs", "pinger"]);
    let numbers: Vec<usize> = logs
        .ok()
        .lines()
        .filter_map(|line| line.split("seq=").nth(1)?.split(' ').next()?.parse().ok())
        .collect();
    assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
    assert!(!numbers.is_empty(), "{logs:?}");
}
