//! `--link`, and the host's own name.

use std::time::Duration;

use testkit::{Context, Settings, command};

use crate::names::getent;

const LIMIT: Duration = Duration::from_secs(10);

fn waits(context: &Context, name: &str, more: &[&str]) {
    let words = [
        &["run", "-d", "--name", name],
        more,
        &["busybox", "sleep", "1000"],
    ]
    .concat();
    context.docker(&words).ok();
}

fn address(context: &Context, name: &str) -> String {
    context.inspect(name, "{{.NetworkSettings.Networks.bridge.IPAddress}}")
}

fn hosts(context: &Context, name: &str) -> String {
    context
        .corten(&["exec", name, "cat", "/etc/hosts"])
        .ok()
        .to_owned()
}

#[test]
fn a_link_tells_variables_and_leads_to_its_target_through_restarts() {
    let context = Context::busybox();
    waits(&context, "web", &["--expose", "80-81", "-e", "COLOR=blue"]);
    waits(
        &context,
        "client",
        &["--link", "web:my-web", "-e", "MY_WEB_ENV_HELLO=own"],
    );
    let first = address(&context, "web");
    let variables = context.docker(&["exec", "client", "env"]);
    for line in [
        format!("MY_WEB_PORT=tcp://{first}:80"),
        format!("MY_WEB_PORT_80_TCP=tcp://{first}:80"),
        format!("MY_WEB_PORT_81_TCP_ADDR={first}"),
        "MY_WEB_PORT_80_TCP_PORT=80".to_owned(),
        "MY_WEB_PORT_80_TCP_PROTO=tcp".to_owned(),
        "MY_WEB_PORT_80_TCP_PORT_END=81".to_owned(),
        "MY_WEB_NAME=/client/my-web".to_owned(),
        "MY_WEB_ENV_COLOR=blue".to_owned(),
        "MY_WEB_ENV_HELLO=own".to_owned(),
    ] {
        assert!(
            variables.ok().lines().any(|one| one == line),
            "{line}: {variables:?}"
        );
    }
    assert!(
        !variables.stdout.contains("MY_WEB_ENV_PATH"),
        "{variables:?}"
    );
    let own = context.corten(&["exec", "client", "cat", "/proc/1/environ"]);
    assert!(own.ok().contains("MY_WEB_NAME=/client/my-web"), "{own:?}");
    let host = context.inspect("web", "{{.Config.Hostname}}");
    let line = |address: &str| format!("{address}\tmy-web {host} web\n");
    assert!(hosts(&context, "client").contains(&line(&first)));
    assert_eq!(
        context.inspect("client", "{{.HostConfig.Links}}"),
        "[/web:/client/my-web]"
    );
    // Another address: the one it had rests.
    context.corten(&["restart", "-t", "0", "web"]).ok();
    let second = address(&context, "web");
    assert_ne!(first, second);
    let now = hosts(&context, "client");
    assert!(
        now.contains(&line(&second)) && !now.contains(&first),
        "{now}"
    );
    // A name is no more than a name: the link is to the container.
    context.docker(&["rename", "web", "front"]).ok();
    context.corten(&["restart", "-t", "0", "front"]).ok();
    let third = address(&context, "front");
    assert!(hosts(&context, "client").contains(&format!("{third}\tmy-web {host}")));
    context.corten(&["stop", "-t", "0", "front", "client"]).ok();
    let stopped = context.docker(&["start", "client"]);
    assert!(
        stopped
            .fails(1)
            .contains("Cannot link to a non running container: /front AS /client/my-web"),
        "{stopped:?}"
    );
    // What was removed is linked to no more.
    context.corten(&["rm", "front"]).ok();
    context.docker(&["start", "client"]).ok();
    assert!(!hosts(&context, "client").contains("my-web"));
    let nobody = context.docker(&["run", "--rm", "--link", "nobody:x", "busybox", "true"]);
    assert!(
        nobody
            .fails(125)
            .contains("could not get container for nobody: No such container: nobody"),
        "{nobody:?}"
    );
}

#[test]
fn on_a_network_of_ones_own_a_link_may_come_before_its_target() {
    let context = Context::busybox();
    context.load("debian-bookworm");
    context.corten(&["network", "create", "shop"]).ok();
    let run = context.docker(&[
        "run",
        "-d",
        "--name",
        "client",
        "--network",
        "shop",
        "--link",
        "later:db",
        "debian:bookworm",
        "sleep",
        "1000",
    ]);
    run.ok();
    let pid = context.inspect("client", "{{.State.Pid}}");
    assert_ne!(getent(&pid, "db").code, 0);
    waits(&context, "later", &["--network", "shop"]);
    let there = context.inspect("later", "{{.NetworkSettings.Networks.shop.IPAddress}}");
    assert!(getent(&pid, "db").ok().contains(&there));
    // Another container of that name is its target, too.
    context.corten(&["rm", "-f", "later"]).ok();
    assert_ne!(getent(&pid, "db").code, 0);
    waits(&context, "other", &["--network", "shop"]);
    context.corten(&["rename", "other", "later"]).ok();
    assert!(command::eventually(LIMIT, || getent(&pid, "db").code == 0));
}

#[test]
fn the_host_has_a_name_on_the_default_bridge_too() {
    let context = Context::busybox();
    context.load("debian-bookworm");
    context
        .corten(&[
            "run",
            "-d",
            "--name",
            "asks",
            "debian:bookworm",
            "sleep",
            "1000",
        ])
        .ok();
    let found = getent(
        &context.inspect("asks", "{{.State.Pid}}"),
        "host.docker.internal",
    );
    let gateway = context.inspect("asks", "{{.NetworkSettings.Gateway}}");
    assert!(found.ok().starts_with(&format!("{gateway} ")), "{found:?}");
    let own = context.corten(&[
        "run",
        "--rm",
        "--add-host",
        "host.docker.internal:192.0.2.7",
        "busybox",
        "cat",
        "/etc/hosts",
    ]);
    let named: Vec<&str> = own
        .ok()
        .lines()
        .filter(|line| line.contains("host.docker"))
        .collect();
    assert_eq!(named, ["192.0.2.7\thost.docker.internal"]);
    // On a network of one's own it is the resolver that knows it; on an internal one, too.
    context
        .corten(&["network", "create", "--internal", "inner"])
        .ok();
    let inside = context.corten(&[
        "run",
        "--rm",
        "--network",
        "inner",
        "debian:bookworm",
        "sh",
        "-c",
        "grep -c host.docker /etc/hosts; getent hosts host.docker.internal",
    ]);
    assert!(inside.ok().starts_with("0\n"), "{inside:?}");
    let without = Context::with(Settings {
        arguments: vec!["--host-in-hosts=false".to_owned()],
        ..Settings::default()
    });
    without.load("busybox");
    let none = without.corten(&["run", "--rm", "busybox", "cat", "/etc/hosts"]);
    assert!(!none.ok().contains("host.docker"), "{none:?}");
    // In the host's own network it is the host itself, beside what the host's file says.
    let of_host = |context: &Context, more: &[&str]| {
        let run = [&["run", "--rm", "--network", "host"], more].concat();
        let shown = context.corten(&[&run, &["busybox", "cat", "/etc/hosts"][..]].concat());
        shown.ok().to_owned()
    };
    let own = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    assert_eq!(of_host(&without, &[]).trim_end(), own.trim_end());
    let shown = of_host(&context, &[]);
    assert!(
        shown.ends_with("127.0.0.1\thost.docker.internal"),
        "{shown}"
    );
    let said = own.lines().filter(|line| !line.starts_with('#'));
    for word in said.flat_map(str::split_whitespace) {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let asked = of_host(&context, &["--add-host", "db:192.0.2.7"]);
    let (_, added) = asked
        .split_once("ip6-allrouters\n")
        .expect("the usual lines");
    assert_eq!(added, "192.0.2.7\tdb\n127.0.0.1\thost.docker.internal");
}
