//! The host's own rules: flushed, and in the way. Each daemon here has a host of its own, whose rules are nobody else's.

use std::time::Duration;

use testkit::{Context, Outside, Settings, command};

use crate::ports::{TELL, fetch};

const LIMIT: Duration = Duration::from_secs(10);

fn host(arguments: &[&str]) -> (Context, Outside) {
    let context = Context::with(Settings {
        own_host: true,
        arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        ..Settings::default()
    });
    context.load("busybox");
    let outside = Outside::plug(&context);
    (context, outside)
}

fn nft(context: &Context, words: &str) -> command::Output {
    let output = command::run(context.on_host("nft").args(words.split(' ')));
    output.ok();
    output
}

/// Starts a container that tells who connects; the port on the neighbour's side of the host.
fn published(context: &Context, outside: &Outside) -> String {
    context
        .corten(&[
            "run", "-d", "--name", "web", "-p", "80", "busybox", "sh", "-c", TELL,
        ])
        .ok();
    format!("{}:{}", outside.host(), context.port("web", "80"))
}

fn answers(outside: &Outside, address: &str) -> bool {
    fetch(outside, address).code == 0
}

#[test]
fn rules_that_somebody_flushed_are_back_within_five_seconds() {
    let (context, outside) = host(&[]);
    let address = published(&context, &outside);
    let told = || fetch(&outside, &address);
    assert!(command::eventually(LIMIT, || told()
        .stdout
        .contains(&outside.address())));
    nft(&context, "flush ruleset");
    // Meanwhile it is relayed; the client's address tells when the kernel leads there again.
    let back = command::eventually(Duration::from_secs(5), || {
        told().stdout.contains(&outside.address())
    });
    assert!(back, "{}", nft(&context, "list ruleset").stdout);
    let bridge = &context.names().bridge;
    nft(&context, &format!("list table inet {bridge}"));
    // Elements alone: the rules stand, and lead nowhere.
    // The order of tables and elements is the kernel's.
    let listed = || {
        let listed = nft(&context, "list ruleset");
        let words = listed.ok().split(|c: char| c.is_whitespace() || c == ',');
        let mut words: Vec<String> = words.map(str::to_owned).collect();
        words.sort();
        words
    };
    let ports = format!("{bridge}-ports");
    assert!(command::eventually(LIMIT, || listed().contains(&ports)));
    let before = listed();
    for what in [
        format!("set inet {bridge} bridges"),
        format!("set inet {bridge} home4"),
        format!("map ip {bridge}-ports any"),
    ] {
        // The daemon would be quicker than a look, where programs start slowly.
        assert!(command::signal(context.daemon_pid(), "STOP"));
        nft(&context, &format!("flush {what}"));
        let flushed = listed();
        assert!(command::signal(context.daemon_pid(), "CONT"));
        assert_ne!(flushed, before, "{what}");
        let back = command::eventually(Duration::from_secs(5), || listed() == before);
        assert!(back, "{what}: {:?}", listed());
    }
}

#[test]
fn ports_of_several_networks_are_reached_where_the_host_filters_by_reverse_paths() {
    let (context, outside) = host(&[]);
    let filters = "echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter";
    command::run(context.on_host("sh").args(["-c", filters])).ok();
    for name in ["alpha", "beta", "zeta"] {
        let create = ["network", "create", "--ipv6=false", name];
        context.corten(&create).ok();
    }
    let both = ["--network", "zeta", "--network", "beta", "-p", "80"];
    let run = [&["run", "-d", "--name", "web"][..], &both].concat();
    let program = ["busybox", "sh", "-c", TELL];
    context.corten(&[&run[..], &program].concat()).ok();
    let address = format!("{}:{}", outside.host(), context.port("web", "80"));
    let reached = || {
        let told = fetch(&outside, &address);
        told.stdout.contains(&outside.address())
    };
    assert!(command::eventually(LIMIT, reached));
    // The way out moves, and the ports with it.
    for words in [["connect", "alpha"], ["disconnect", "alpha"]] {
        let words = [&["network"][..], &words, &["web"]].concat();
        context.corten(&words).ok();
        assert!(command::eventually(LIMIT, reached), "{words:?}");
    }
}

/// As ufw and firewalld do: what is not allowed is dropped.
fn deny(context: &Context) {
    nft(context, "add table inet fw");
    nft(
        context,
        "add chain inet fw input { type filter hook input priority 0 ; policy drop ; }",
    );
    nft(context, "add rule inet fw input iif lo accept");
    nft(
        context,
        "add rule inet fw input ct state established,related accept",
    );
}

#[test]
fn the_hosts_input_rules_apply_to_published_ports_where_that_is_asked_for() {
    let (context, outside) = host(&["--host-firewall"]);
    let address = published(&context, &outside);
    assert!(command::eventually(LIMIT, || answers(&outside, &address)));
    deny(&context);
    assert!(!answers(&outside, &address), "it is denied");
    let port = context.port("web", "80");
    nft(
        &context,
        &format!("add rule inet fw input tcp dport {port} accept"),
    );
    assert!(answers(&outside, &address), "it is allowed");
    // Nothing is translated: there are no tables of ports.
    let tables = nft(&context, "list tables");
    assert!(!tables.stdout.contains("-ports"), "{tables:?}");
    let sctp = context.corten(&["run", "--rm", "-p", "9/sctp", "busybox", "true"]);
    assert!(
        sctp.fails(125)
            .contains("SCTP through the host's input rules is not implemented"),
        "{sctp:?}"
    );
}

#[test]
fn without_it_they_pass_by_the_hosts_input_rules_as_dockers_do() {
    let (context, outside) = host(&[]);
    let address = published(&context, &outside);
    assert!(command::eventually(LIMIT, || answers(&outside, &address)));
    deny(&context);
    assert!(answers(&outside, &address));
    // Rules of one's own stand where packets are forwarded.
    let port = context.port("web", "80");
    nft(&context, "add table inet mine");
    nft(
        &context,
        "add chain inet mine forward { type filter hook forward priority -10 ; }",
    );
    nft(
        &context,
        &format!("add rule inet mine forward meta l4proto tcp ct original proto-dst {port} drop"),
    );
    assert!(!answers(&outside, &address));
}

/// The host's ufw: the real one, in a container that may change the host's network.
fn ufw(context: &Context, words: &[&str]) {
    context
        .corten(&[&["exec", "ufw", "ufw"], words].concat())
        .ok();
}

/// The host's firewalld, in the same way.
fn firewalld(context: &Context, words: &[&str]) -> command::Output {
    context.corten(&[&["exec", "firewalld", "firewall-cmd"], words].concat())
}

/// A host with a container that may change its network and runs this, and one that tells who connects.
fn host_with(name: &str, program: &[&str], arguments: &[&str]) -> (Context, Outside, String) {
    let (context, outside) = host(arguments);
    context.load("services");
    let admin = ["--privileged", "--network", "host", "services"];
    let run = ["run", "-d", "--name", name];
    let address = published(&context, &outside);
    assert!(command::eventually(LIMIT, || answers(&outside, &address)));
    context.corten(&[&run[..], &admin, program].concat()).ok();
    (context, outside, address)
}

/// A host whose ufw is not yet enabled.
fn host_with_ufw(arguments: &[&str]) -> (Context, Outside, String) {
    host_with("ufw", &["sleep", "600"], arguments)
}

/// A host whose firewalld runs.
fn host_with_firewalld(arguments: &[&str]) -> (Context, Outside, String) {
    let serve =
        "mkdir -p /run/dbus && dbus-daemon --system --fork && exec firewalld --nofork --nopid";
    let host = host_with("firewalld", &["sh", "-c", serve], arguments);
    let runs = || firewalld(&host.0, &["--state"]).code == 0;
    assert!(command::eventually(Duration::from_mins(2), runs));
    host
}

/// Whether the container gets an answer from a neighbour, who refuses what is asked.
fn gets_out(context: &Context, outside: &Outside) -> bool {
    let neighbour = outside.address();
    let words = ["exec", "web", "nc", "-w", "2", &neighbour, "7"];
    context.corten(&words).stderr.contains("refused")
}

#[test]
fn ufw_rules_published_ports_like_any_other_where_that_is_asked_for() {
    let (context, outside, address) = host_with_ufw(&["--host-firewall"]);
    ufw(&context, &["--force", "enable"]);
    assert!(!answers(&outside, &address), "it denies by default");
    assert!(
        !gets_out(&context, &outside),
        "it routes nothing by default"
    );
    ufw(&context, &["default", "allow", "routed"]);
    assert!(gets_out(&context, &outside));
    assert!(!answers(&outside, &address), "our own rules are there");
    let port = context.port("web", "80");
    ufw(&context, &["allow", &format!("{port}/tcp")]);
    assert!(answers(&outside, &address));
    ufw(&context, &["delete", "allow", &format!("{port}/tcp")]);
    assert!(!answers(&outside, &address));
    ufw(&context, &["disable"]);
    assert!(answers(&outside, &address));
}

#[test]
fn otherwise_ufw_rules_them_as_routed() {
    let (context, outside, address) = host_with_ufw(&[]);
    assert!(gets_out(&context, &outside));
    ufw(&context, &["--force", "enable"]);
    assert!(!answers(&outside, &address));
    assert!(!gets_out(&context, &outside));
    // As documented: all that is routed, as with Docker.
    ufw(&context, &["default", "allow", "routed"]);
    assert!(gets_out(&context, &outside));
    assert!(answers(&outside, &address));
    ufw(&context, &["default", "deny", "routed"]);
    assert!(!gets_out(&context, &outside));
    assert!(!answers(&outside, &address));
    // Or else whoever is on the bridge may go out, and the container's port may be asked.
    let bridge = context.names().bridge.clone();
    ufw(&context, &["route", "allow", "in", "on", &bridge]);
    assert!(gets_out(&context, &outside));
    assert!(!answers(&outside, &address));
    let port = ["to", "any", "port", "80"];
    let words = [&["route", "allow", "proto", "tcp"][..], &port].concat();
    ufw(&context, &words);
    assert!(answers(&outside, &address));
}

#[test]
fn firewalld_rules_published_ports_like_any_other_where_that_is_asked_for() {
    let (context, outside, address) = host_with_firewalld(&["--host-firewall"]);
    assert!(!answers(&outside, &address), "it rejects by default");
    let port = format!("{}/tcp", context.port("web", "80"));
    firewalld(&context, &["--add-port", &port]).ok();
    assert!(answers(&outside, &address));
    firewalld(&context, &["--remove-port", &port]).ok();
    assert!(!answers(&outside, &address));
}

#[test]
fn containers_get_out_past_firewalld_once_it_trusts_their_bridge() {
    let (mut context, outside, address) = host_with_firewalld(&[]);
    assert!(answers(&outside, &address), "as with Docker");
    assert!(!gets_out(&context, &outside));
    context.kill_daemon();
    context.start_daemon();
    let warnings = context.corten(&["info", "--format", "{{.Warnings}}"]);
    let chain = "filter_FORWARD of table inet firewalld drops what is forwarded";
    assert!(warnings.ok().contains(chain), "{warnings:?}");
    // As documented, the others by the name that all bridges of networks begin with.
    let default = format!("--add-interface={}", context.names().bridge);
    let all = [default.as_str(), "--add-interface=br-+"];
    let trust = [&["--permanent", "--zone=trusted"][..], &all].concat();
    firewalld(&context, &trust).ok();
    firewalld(&context, &["--reload"]).ok();
    assert!(gets_out(&context, &outside));
    context
        .corten(&["network", "create", "--ipv6=false", "own"])
        .ok();
    context.corten(&["rm", "-f", "web"]).ok();
    let run = ["run", "-d", "--name", "web", "--network", "own"];
    context
        .corten(&[&run[..], &["busybox", "sleep", "600"]].concat())
        .ok();
    assert!(gets_out(&context, &outside));
}
