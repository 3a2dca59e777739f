//! Networks of one's own: made, joined, left, pruned, and what is refused.

use testkit::{Context, command, fixtures, skip};

#[test]
fn a_network_is_made_used_and_removed() {
    let context = Context::busybox();
    let id = context
        .corten(&[
            "network",
            "create",
            "--label",
            "tier=1",
            "--subnet",
            "10.218.3.0/24",
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
        "bridge 10.218.3.0/24 1 false"
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
    context
        .corten(&[
            "run",
            "-d",
            "--name",
            "server",
            "--network",
            "web",
            "--ip",
            "10.218.3.9",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
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
            "10.218.3.9",
        ])
        .ok();
    let isolated = context.corten(&[
        "run",
        "--rm",
        "busybox",
        "ping",
        "-c",
        "1",
        "-W",
        "1",
        "10.218.3.9",
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
    context
        .corten(&["run", "-d", "--name", "mover", "busybox", "sleep", "1000"])
        .ok();
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
        context
            .corten(&[
                "run",
                "-d",
                "--name",
                name,
                "--network",
                "web",
                "busybox",
                "sleep",
                "1000",
            ])
            .ok();
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
    context
        .corten(&["run", "-d", "--name", "owner", "busybox", "sleep", "1000"])
        .ok();
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
fn dockers_compose_brings_a_project_up_and_down() {
    let context = Context::busybox();
    if fixtures::client("docker-compose").is_none() {
        skip!("docker compose is not among the clients");
    }
    let file = context.directory().join("compose.yaml");
    let text = "name: shop\nservices:\n  web:\n    image: busybox\n    command: sleep 1000\n    networks: \
                { front: { aliases: [www] }, back: {} }\n  app:\n    image: busybox\n    \
                command: sh -c 'echo hello; sleep 1000'\n    depends_on: [web]\n    networks: [back]\n\
                networks: { front: {}, back: { internal: true } }\n";
    std::fs::write(&file, text).expect("write the project");
    let run = |args: &[&str]| {
        let mut compose = fixtures::client("docker-compose").expect("it was there");
        compose
            .env(
                "DOCKER_HOST",
                format!("unix://{}", context.socket().display()),
            )
            .arg("-f")
            .arg(&file)
            .args(args);
        command::run(&mut compose)
    };
    run(&["up", "-d"]).ok();
    let listed = run(&["ps", "--format", "{{.Service}} {{.State}}"]);
    assert!(
        listed.ok().contains("app running") && listed.stdout.contains("web running"),
        "{listed:?}"
    );
    assert!(run(&["logs", "app"]).ok().contains("hello"));
    let address = context.inspect(
        "shop-web-1",
        "{{.NetworkSettings.Networks.shop_back.IPAddress}}",
    );
    run(&["exec", "-T", "app", "ping", "-c", "1", "-W", "5", &address]).ok();
    run(&["up", "-d"]).ok();
    run(&["down", "-t", "0"]).ok();
    assert_eq!(
        context
            .corten(&["network", "ls", "-q", "--filter", "type=custom"])
            .ok(),
        ""
    );
}
