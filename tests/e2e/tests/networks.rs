//! Networks of one's own: made, joined, left, pruned, and what is refused.

use std::time::Duration;

use testkit::{Context, command};

use crate::ports::{ask, tells_on};

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_network_is_made_used_and_removed() {
    let context = Context::busybox();
    let subnet = context.subnet(250, 24);
    let server = subnet.replace(".0/24", ".9");
    let id = context
        .corten(&[
            "network",
            "create",
            "--label",
            "tier=1",
            "--subnet",
            &subnet,
            "--ipv6=false",
            "web",
        ])
        .ok()
        .to_owned();
    assert_eq!(id.len(), 64);
    let show = |format: &str| {
        let shown = context.corten(&["network", "inspect", "--format", format, "web"]);
        shown.ok().to_owned()
    };
    assert_eq!(
        show("{{.Driver}} {{(index .IPAM.Config 0).Subnet}} {{.Labels.tier}} {{.Internal}}"),
        format!("bridge {subnet} 1 false")
    );
    let listed = context.corten(&[
        "network",
        "ls",
        "-q",
        "--no-trunc",
        "--filter",
        "label=tier=1",
    ]);
    assert_eq!(listed.ok(), id);
    context.sleeper("server", &["--network", "web", "--ip", &server]);
    context
        .corten(&[
            "run",
            "--rm",
            "--network",
            "web",
            "busybox",
            "ping",
            "-c",
            "1",
            "-W",
            "5",
            &server,
        ])
        .ok();
    let isolated = context.corten(&[
        "run", "--rm", "busybox", "ping", "-c", "1", "-W", "1", &server,
    ]);
    assert_ne!(isolated.code, 0);
    assert_eq!(
        context
            .corten(&["ps", "--filter", "network=web", "--format", "{{.Names}}"])
            .ok(),
        "server"
    );
    let used = context.corten(&["network", "rm", "web"]);
    assert_eq!(used.code, 1);
    assert!(
        used.stderr
            .contains("network web has active endpoints (name:\"server\" id:"),
        "{used:?}"
    );
    context.corten(&["rm", "-f", "server"]).ok();
    assert_eq!(context.corten(&["network", "rm", "web"]).ok(), "web");
}

#[test]
fn a_running_container_joins_and_leaves() {
    let context = Context::busybox();
    for name in ["red", "blue"] {
        context
            .corten(&["network", "create", "--ipv6=false", name])
            .ok();
    }
    context.sleeper("mover", &[]);
    context
        .corten(&["network", "connect", "--alias", "www", "red", "mover"])
        .ok();
    let format =
        "{{range $name, $n := .NetworkSettings.Networks}}{{$name}} {{$n.IPAddress}} {{end}}";
    let networks = context.inspect("mover", format);
    assert!(
        networks.contains("bridge 10.219.") && networks.contains(" red "),
        "{networks}"
    );
    let address = context.inspect("mover", "{{.NetworkSettings.Networks.red.IPAddress}}");
    let inside = context.corten(&["exec", "mover", "ip", "-4", "-o", "addr", "show", "eth1"]);
    assert!(inside.ok().contains(&address), "{inside:?}");
    let hosts = context.corten(&["exec", "mover", "cat", "/etc/hosts"]);
    assert!(hosts.ok().contains(&address), "{hosts:?}");
    let twice = context.corten(&["network", "connect", "red", "mover"]);
    assert!(
        twice
            .stderr
            .contains("endpoint with name mover already exists in network red"),
        "{twice:?}"
    );
    context
        .corten(&["network", "disconnect", "red", "mover"])
        .ok();
    let gone = context.corten(&["exec", "mover", "ip", "link", "show", "eth1"]);
    assert_ne!(gone.code, 0);
    let hosts = context.corten(&["exec", "mover", "cat", "/etc/hosts"]);
    assert!(!hosts.ok().contains(&address), "{hosts:?}");
    context.corten(&["stop", "-t", "0", "mover"]).ok();
    context
        .corten(&["network", "connect", "blue", "mover"])
        .ok();
    context.corten(&["start", "mover"]).ok();
    assert!(context.inspect("mover", format).contains("blue "));
    context.corten(&["rm", "-f", "mover"]).ok();
    let pruned = context.corten(&["network", "prune", "-f"]);
    assert!(
        pruned.ok().contains("red") && pruned.stdout.contains("blue"),
        "{pruned:?}"
    );
}

#[test]
fn places_outlive_a_killed_daemon() {
    let mut context = Context::busybox();
    context
        .corten(&["network", "create", "--ipv6=false", "web"])
        .ok();
    for name in ["one", "two"] {
        context.sleeper(name, &["--network", "web"]);
    }
    let address = context.inspect("two", "{{.NetworkSettings.Networks.web.IPAddress}}");
    context.kill_daemon();
    context.start_daemon();
    context
        .corten(&["exec", "one", "ping", "-c", "1", "-W", "5", &address])
        .ok();
    assert_eq!(
        context.inspect("two", "{{.NetworkSettings.Networks.web.IPAddress}}"),
        address
    );
    context.corten(&["rm", "-f", "one", "two"]).ok();
    context.corten(&["network", "rm", "web"]).ok();
}

#[test]
fn another_containers_network_is_shared() {
    let context = Context::busybox();
    context.sleeper("owner", &[]);
    let address = context.inspect("owner", "{{.NetworkSettings.IPAddress}}");
    let shared = context.corten(&[
        "run",
        "--rm",
        "--network",
        "container:owner",
        "busybox",
        "sh",
        "-c",
        "ip -4 -o addr show eth0; hostname",
    ]);
    assert!(shared.ok().contains(&address), "{shared:?}");
    let hostname = context.inspect("owner", "{{.Config.Hostname}}");
    assert!(shared.stdout.contains(&hostname), "{shared:?}");
    let missing = context.corten(&[
        "run",
        "--rm",
        "--network",
        "container:nobody",
        "busybox",
        "true",
    ]);
    assert_eq!(missing.code, 125);
    assert!(
        missing.stderr.contains("No such container: nobody"),
        "{missing:?}"
    );
}

#[test]
fn what_cannot_be_is_refused_in_dockers_words() {
    let context = Context::busybox();
    for (args, code, words) in [
        (
            &["network", "create", "bridge"][..],
            1,
            "operation is not permitted on predefined bridge network",
        ),
        (
            &["network", "rm", "host"],
            1,
            "host is a pre-defined network and cannot be removed",
        ),
        (&["network", "rm", "nope"], 1, "network nope not found"),
        (
            &["network", "create", "--subnet", "10.1.2.0/16", "x1"],
            1,
            "invalid subnet 10.1.2.0/16: it should be 10.1.0.0/16",
        ),
        (
            &["network", "create", "--gateway", "10.1.0.1", "x1"],
            1,
            "every ip-range or gateway must have a corresponding subnet",
        ),
        (
            &["network", "create", "-d", "overlay", "x1"],
            1,
            "network driver overlay is not implemented",
        ),
        (
            &["run", "--rm", "--network", "nope", "busybox", "true"],
            125,
            "failed to set up container networking: network nope not found",
        ),
        (
            &["run", "--rm", "--ip", "10.9.9.9", "busybox", "true"],
            125,
            "user specified IP address is supported on user defined networks only",
        ),
        (
            &["run", "--rm", "--network-alias", "a", "busybox", "true"],
            125,
            "network-scoped alias is supported only for containers in user defined networks",
        ),
        (
            &["network", "connect", "host", "nobody"],
            1,
            "No such container: nobody",
        ),
    ] {
        let output = context.corten(args);
        assert_eq!(output.code, code, "{args:?}: {output:?}");
        assert!(output.stderr.contains(words), "{args:?}: {output:?}");
    }
}

#[test]
fn members_that_are_kept_apart_reach_what_others_have_published() {
    let context = Context::busybox();
    let create = |name: &str, more: &[&str]| {
        let create = ["network", "create", "--ipv6=false"];
        context.corten(&[&create, more, &[name]].concat()).ok();
    };
    create(
        "apart",
        &["-o", "com.docker.network.bridge.enable_icc=false"],
    );
    context.corten(&tells_on("apart", "web")).ok();
    let port = context.port("web", "80");
    let inspect = |what: &str| {
        let path = format!("{{{{.NetworkSettings.Networks.apart.{what}}}}}");
        context.inspect("web", &path)
    };
    let (web, gateway) = (inspect("IPAddress"), inspect("Gateway"));
    assert!(command::eventually(LIMIT, || ask(&format!("{web}:80")).is_ok()));
    context.sleeper("other", &["--network", "apart"]);
    let from = |who: &str, address: &str, port: u16| {
        let asks = format!(
            "printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | nc -w 1 {address} {port} | grep 'from '"
        );
        context.corten(&["exec", who, "sh", "-c", &asks])
    };
    for who in ["other", "web"] {
        let told = from(who, &gateway, port);
        assert!(told.ok().contains(&gateway), "{who}: {told:?}");
    }
    assert_ne!(from("other", &web, 80).code, 0, "and nothing else");
}
