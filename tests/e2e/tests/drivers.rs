//! Networks other than the ordinary bridge: in routed mode, beside an interface of the host, and configurations of others.

use testkit::{Context, Outside};

use crate::ports::{TELL, ask, fetch, tells_on};

#[test]
fn what_is_published_on_a_routed_network_is_reached_at_the_containers_address() {
    let context = Context::busybox();
    let outside = Outside::plug(&context);
    context
        .docker(&[
            "network",
            "create",
            "--ipv6",
            "-o",
            "com.docker.network.bridge.gateway_mode_ipv4=routed",
            "-o",
            "com.docker.network.bridge.gateway_mode_ipv6=routed",
            "own",
        ])
        .ok();
    let run = |name: &str, publish: &str| {
        context.docker(&[
            "run",
            "-d",
            "--name",
            name,
            "--network",
            "own",
            "-p",
            publish,
            "busybox",
            "sh",
            "-c",
            TELL,
        ])
    };
    run("web", "8080:80").ok();
    let place = |field: &str| {
        context.inspect(
            "web",
            &format!("{{{{.NetworkSettings.Networks.own.{field}}}}}"),
        )
    };
    let (four, six) = (place("IPAddress"), place("GlobalIPv6Address"));
    assert!(testkit::command::eventually(
        std::time::Duration::from_secs(10),
        || { ask(&format!("{four}:80")).is_ok() }
    ));
    for (address, own) in [(four.clone(), outside.address()), (six, outside.address6())] {
        let told = fetch(&outside, &format!("{address}:80"));
        assert!(told.ok().contains(&own), "{address}: {told:?}");
        let closed = fetch(&outside, &format!("{address}:81"));
        assert_ne!(closed.code, 0);
    }
    // There is no port of the host, and that is how it is shown.
    assert!(std::net::TcpListener::bind(("0.0.0.0", 8080)).is_ok());
    let shown = context.docker(&["inspect", "-f", "{{json .NetworkSettings.Ports}}", "web"]);
    assert_eq!(
        shown.ok(),
        r#"{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":""},{"HostIp":"::","HostPort":""}]}"#
    );
    for (words, expected) in [
        (&["port", "web"][..], "80/tcp -> 0.0.0.0:\n80/tcp -> [::]:"),
        (&["ps", "--format", "{{.Ports}}"], "80/tcp"),
    ] {
        assert_eq!(context.docker(words).ok(), expected);
        assert_eq!(context.corten(words).ok(), expected);
    }
    let refused = run("two", "127.0.0.1::80");
    let said = refused.fails(125);
    assert!(
        said.contains("NAT is disabled, omit host address in port mapping 127.0.0.1:0:"),
        "{said}"
    );
    assert!(
        said.contains("or use 0.0.0.0::80 to open port 80 for IPv4-only"),
        "{said}"
    );
    context.corten(&["stop", "-t", "0", "web"]).ok();
    context.corten(&["start", "web"]).ok();
    // The next daemon knows what is open, and a container that leaves takes it along.
    let four = place("IPAddress");
    let mut context = context;
    context.kill_daemon();
    context.start_daemon();
    assert!(testkit::command::eventually(
        std::time::Duration::from_secs(10),
        || { fetch(&outside, &format!("{four}:80")).code == 0 }
    ));
    context
        .corten(&["network", "disconnect", "own", "web"])
        .ok();
    let table = context.names().bridge.clone();
    let set = testkit::command::run(std::process::Command::new("nft").args([
        "list",
        "set",
        "inet",
        &table,
        "published4",
    ]));
    assert!(!set.ok().contains("elements"), "{set:?}");
}

#[test]
fn containers_beside_an_interface_are_hosts_on_its_link() {
    let context = Context::busybox();
    let outside = Outside::plug(&context);
    let number = outside
        .address()
        .split('.')
        .nth(2)
        .expect("four parts")
        .to_owned();
    let lan = |last: u8| format!("10.217.{number}.{last}");
    outside
        .run(&[
            "ip",
            "addr",
            "add",
            &format!("{}/24", lan(1)),
            "dev",
            "eth0",
        ])
        .ok();
    context
        .docker(&[
            "network",
            "create",
            "-d",
            "macvlan",
            "-o",
            &format!("parent={}", outside.cable()),
            "--subnet",
            &format!("{}/24", lan(0)),
            "--gateway",
            &lan(1),
            "--aux-address",
            &format!("printer={}", lan(2)),
            "lan",
        ])
        .ok();
    context.docker(&tells_on("lan", "host")).ok();
    assert_eq!(
        context.inspect("host", "{{.NetworkSettings.Networks.lan.IPAddress}}"),
        lan(3),
        "the second is the printer's"
    );
    assert!(testkit::command::eventually(
        std::time::Duration::from_secs(10),
        || { fetch(&outside, &format!("{}:80", lan(3))).code == 0 }
    ));
    context
        .corten(&["exec", "host", "ping", "-c", "1", "-W", "5", &lan(1)])
        .ok();
    // Nothing of the host leads to it.
    assert_eq!(context.docker(&["port", "host"]).ok(), "");
    // One more place, also for one that runs, and one less; a daemon that was killed in between knows of both.
    context
        .corten(&["run", "-d", "--name", "mover", "busybox", "sleep", "1000"])
        .ok();
    context
        .docker(&["network", "connect", "--ip", &lan(9), "lan", "mover"])
        .ok();
    let ping = |code: i32| {
        let sent = outside.run(&["busybox", "ping", "-c", "1", "-W", "1", &lan(9)]);
        assert_eq!(sent.code, code, "{sent:?}");
    };
    ping(0);
    let mut context = context;
    context.kill_daemon();
    context.start_daemon();
    ping(0);
    let taken = context.corten(&[
        "run",
        "--rm",
        "--network",
        "lan",
        "--ip",
        &lan(9),
        "busybox",
        "true",
    ]);
    assert!(
        taken.fails(125).contains("Address already in use"),
        "{taken:?}"
    );
    context
        .docker(&["network", "disconnect", "lan", "mover"])
        .ok();
    ping(1);
    assert_eq!(
        context
            .docker(&[
                "network",
                "inspect",
                "-f",
                "{{.Driver}} {{len .Containers}}",
                "lan"
            ])
            .ok(),
        "macvlan 1"
    );
    context.corten(&["rm", "-f", "host", "mover"]).ok();
    context.docker(&["network", "rm", "lan"]).ok();
    assert_eq!(
        outside
            .run(&["busybox", "ping", "-c", "1", "-W", "5", &outside.host()])
            .code,
        0
    );
}

#[test]
fn a_network_beside_an_interface_may_have_two_subnets() {
    let context = Context::busybox();
    let outside = Outside::plug(&context);
    let parent = format!("parent={}", outside.cable());
    let create = ["network", "create", "-d", "macvlan", "-o", &parent];
    let subnets = ["--subnet=192.0.2.0/24", "--subnet=203.0.113.0/24"];
    let ranges = ["--ip-range=192.0.2.8/31", "--gateway=203.0.113.254", "lan"];
    // The docker command sends subnets in an order of chance.
    context
        .corten(&[&create[..], &subnets[..], &ranges[..]].concat())
        .ok();
    let shown = "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}};{{end}}";
    assert_eq!(
        context
            .docker(&["network", "inspect", "-f", shown, "lan"])
            .ok(),
        "192.0.2.0/24 192.0.2.8;203.0.113.0/24 203.0.113.254;"
    );
    let run = |name: &str, more: &[&str]| {
        let run = ["run", "-d", "--network", "lan", "--name", name];
        let sleep = ["busybox", "sleep", "1000"];
        context.docker(&[&run[..], more, &sleep[..]].concat()).ok();
        context.inspect(
            name,
            "{{with .NetworkSettings.Networks.lan}}{{.IPAddress}} {{.Gateway}}{{end}}",
        )
    };
    assert_eq!(run("one", &[]), "192.0.2.9 192.0.2.8");
    // The range of the first has no more.
    assert_eq!(run("two", &[]), "203.0.113.1 203.0.113.254");
    assert_eq!(
        run("three", &["--ip", "203.0.113.7"]),
        "203.0.113.7 203.0.113.254"
    );
    let neighbour = ["exec", "three", "ping", "-c", "1", "-W", "5", "203.0.113.1"];
    context.docker(&neighbour).ok();
    context.docker(&["rm", "-f", "one", "two", "three"]).ok();
    context.docker(&["network", "rm", "lan"]).ok();
}

#[test]
fn a_place_beside_an_interface_is_there_wholly_or_not_after_a_crash() {
    let mut context = Context::busybox();
    let outside = Outside::plug(&context);
    let parent = format!("parent={}", outside.cable());
    context
        .corten(&["network", "create", "-d", "macvlan", "-o", &parent, "lan"])
        .ok();
    context
        .corten(&["run", "-d", "--name", "mover", "busybox", "sleep", "1000"])
        .ok();
    for (step, what) in [
        ("connect.noted", "connect"),
        ("connect.plugged", "connect"),
        ("disconnect.unplugged", "disconnect"),
        ("disconnect.noted", "disconnect"),
    ] {
        let on_it = |context: &Context| {
            let networks = context.inspect("mover", "{{.NetworkSettings.Networks}}");
            let inside = context.corten(&["exec", "mover", "ip", "link", "show", "eth1"]);
            let recorded = networks.contains("lan:");
            assert_eq!(recorded, inside.code == 0, "{step}: {networks}, {inside:?}");
            recorded
        };
        let restart = |context: &mut Context, environment: &[(&str, &str)]| {
            context.kill_daemon();
            context.set_environment(environment);
            context.start_daemon();
        };
        let other = if what == "connect" {
            "disconnect"
        } else {
            "connect"
        };
        if on_it(&context) == (what == "connect") {
            context.corten(&["network", other, "lan", "mover"]).ok();
        }
        restart(&mut context, &[("CORTEN_FAIL_AT", step)]);
        assert_ne!(
            context.corten(&["network", what, "lan", "mover"]).code,
            0,
            "{step}"
        );
        restart(&mut context, &[]);
        if on_it(&context) {
            context
                .corten(&["network", "disconnect", "lan", "mover"])
                .ok();
        }
        context.corten(&["network", "connect", "lan", "mover"]).ok();
        assert!(on_it(&context));
    }
}

#[test]
fn a_network_is_configured_by_another() {
    let context = Context::busybox();
    context
        .docker(&[
            "network",
            "create",
            "--config-only",
            "--subnet",
            "10.217.250.0/24",
            "--label",
            "tier=1",
            "-o",
            "com.docker.network.driver.mtu=1300",
            "template",
        ])
        .ok();
    context
        .docker(&["network", "create", "--config-from", "template", "real"])
        .ok();
    let show = |network: &str, format: &str| {
        context
            .docker(&["network", "inspect", "-f", format, network])
            .ok()
            .to_owned()
    };
    assert_eq!(
        show("template", "{{.ConfigOnly}} {{.Driver}} {{.Scope}}"),
        "true null local"
    );
    assert_eq!(
        show(
            "real",
            "{{.ConfigFrom.Network}} {{(index .IPAM.Config 0).Subnet}} {{.Labels.tier}}"
        ),
        "template 10.217.250.0/24 1"
    );
    let inside = context.corten(&[
        "run",
        "--rm",
        "--network",
        "real",
        "busybox",
        "ip",
        "link",
        "show",
        "eth0",
    ]);
    assert!(inside.ok().contains("mtu 1300"), "{inside:?}");
    for (words, code, expected) in [
        (
            &["network", "rm", "template"][..],
            1,
            "configuration network \"template\" is in use",
        ),
        (
            &["run", "--rm", "--network", "template", "busybox", "true"],
            125,
            "cannot create endpoint on configuration-only network",
        ),
        (
            &["network", "create", "--config-only", "--internal", "x"],
            1,
            "configuration network can only contain network specific fields.",
        ),
        (
            &[
                "network",
                "create",
                "--config-from",
                "template",
                "--label",
                "a=b",
                "x",
            ],
            1,
            "user specified configurations are not supported if the network depends on a configuration network",
        ),
        (
            &["network", "create", "--config-from", "nothing", "x"],
            1,
            "configuration network \"nothing\" does not exist",
        ),
    ] {
        let refused = context.docker(words);
        assert!(
            refused.fails(code).contains(expected),
            "{words:?}: {refused:?}"
        );
    }
    context.docker(&["network", "rm", "real", "template"]).ok();
}

#[test]
fn two_daemons_choose_different_subnets_at_the_same_moment() {
    let with_default_pools = || {
        Context::with(testkit::Settings {
            default_pools: true,
            ..testkit::Settings::default()
        })
    };
    let daemons = [with_default_pools(), with_default_pools()];
    let names: Vec<String> = (0..6).map(|number| format!("n{number}")).collect();
    let create = |context: &Context| {
        let made = |name: &String| {
            context
                .corten(&["network", "create", "--ipv6=false", name])
                .ok();
            let format = "{{(index .IPAM.Config 0).Subnet}}";
            context
                .corten(&["network", "inspect", "-f", format, name])
                .ok()
                .to_owned()
        };
        names.iter().map(made).collect::<Vec<String>>()
    };
    let mut subnets: Vec<String> = std::thread::scope(|scope| {
        let both = daemons
            .each_ref()
            .map(|context| scope.spawn(|| create(context)));
        both.into_iter()
            .flat_map(|one| one.join().expect("they are made"))
            .collect()
    });
    subnets.sort();
    let all = subnets.len();
    subnets.dedup();
    assert_eq!(subnets.len(), all, "{subnets:?}");
}
