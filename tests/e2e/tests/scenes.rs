//! Networks as people use them: nginx, PostgreSQL, sshd and their clients, out of Debian's packages.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use testkit::{Context, Output, Outside, command, fixtures, skip};

const LIMIT: Duration = Duration::from_secs(20);

/// A daemon with the image of real programs.
fn scene() -> Context {
    let context = Context::new();
    context.load("services");
    context
}

/// Starts a container that serves.
#[track_caller]
fn serve(context: &Context, name: &str, options: &[&str], program: &[&str]) {
    let run = ["run", "-d", "--name", name];
    let words = [&run[..], options, &["services"], program].concat();
    context.corten(&words).ok();
}

/// A shell's line that runs nginx, which does this with every request at this port.
fn nginx(port: u16, action: &str) -> String {
    format!(
        "echo 'error_log stderr; pid /run/nginx.pid; events {{}} http {{ access_log /dev/stdout; server {{ \
         listen {port}; listen [::]:{port}; location / {{ {action} }} }} }}' > /etc/nginx.conf; \
         exec nginx -c /etc/nginx.conf -g 'daemon off;'"
    )
}

/// Answers with a name and with who has asked the one in front.
fn tell(name: &str) -> String {
    format!("return 200 \"{name} for $http_x_real_ip.\";")
}

/// Passes everything on, with the address that it came from. Our clients end their direction once they have asked.
fn pass_on_to(upstream: &str) -> String {
    format!(
        "proxy_pass {upstream}; proxy_set_header X-Real-IP $remote_addr; proxy_ignore_client_abort on;"
    )
}

const POSTGRES: &[&str] = &["postgres", "-D", "/srv/postgres"];

/// Runs it until it succeeds: servers take their time.
#[track_caller]
fn until_ok(mut run: impl FnMut() -> Output) -> String {
    let mut last = None;
    command::eventually(LIMIT, || last.insert(run()).code == 0);
    last.expect("it ran").ok().to_owned()
}

#[test]
fn nginx_passes_requests_on_to_a_link_and_to_an_alias() {
    let context = scene();
    let outside = Outside::plug(&context);
    context.corten(&["network", "create", "ci"]).ok();
    for (name, options) in [
        ("plain", &[][..]),
        ("other", &["--network", "ci"]),
        ("main", &["--network", "ci", "--network-alias", "jenkins"]),
    ] {
        let script = nginx(8080, &tell(name));
        serve(&context, name, options, &["bash", "-c", &script]);
    }
    let script = nginx(80, &pass_on_to("http://jenkins:8080"));
    for (upstream, options) in [
        ("plain", &["--link", "plain:jenkins"][..]),
        ("other", &["--network", "ci", "--link", "other:jenkins"]),
        ("main", &["--network", "ci"]),
    ] {
        let front = format!("front-{upstream}");
        let options = [&["-p", "80"], options].concat();
        serve(&context, &front, &options, &["bash", "-c", &script]);
        let port = context.port(&front, "80");
        let told = until_ok(|| outside.get(&outside.host(), port, "/"));
        let expected = format!("{upstream} for {}.", outside.address());
        assert!(told.ends_with(&expected), "{told} instead of {expected}");
    }
}

#[test]
fn postgres_serves_its_network_and_a_published_port() {
    let context = scene();
    context.corten(&["network", "create", "data"]).ok();
    let options = [
        "--network",
        "data",
        "--user",
        "postgres",
        "-p",
        "127.0.0.1::5432",
        "-p",
        "5432",
    ];
    serve(&context, "db", &options, POSTGRES);
    let psql = |network: &str, host: &str, port: &str, query: &str| {
        context.corten(&[
            "run",
            "--rm",
            "--network",
            network,
            "services",
            "psql",
            "-U",
            "postgres",
            "-h",
            host,
            "-p",
            port,
            "-Atc",
            query,
        ])
    };
    let made = "create table t as select generate_series(1, 1000) as n";
    until_ok(|| psql("data", "db", "5432", made));
    let sum = "select sum(n) from t";
    assert_eq!(psql("data", "db", "5432", sum).ok(), "500500");
    // The host's own network namespace, and a container that has another network.
    let shown = context.corten(&["port", "db", "5432"]);
    let ports: Vec<&str> = shown
        .ok()
        .lines()
        .filter_map(|line| Some(line.rsplit_once(':')?.1))
        .collect();
    for port in &ports {
        assert_eq!(psql("host", "127.0.0.1", port, sum).ok(), "500500");
    }
    let bridge = context.names().bridge.clone();
    let address = command::run(Command::new("ip").args(["-4", "-o", "addr", "show", &bridge]));
    let gateway = address.ok().split_whitespace().nth(3).unwrap_or_default();
    let gateway = gateway.split('/').next().expect("an address");
    let reached = ports
        .iter()
        .filter(|port| psql("bridge", gateway, port, sum).code == 0);
    assert_eq!(reached.count(), 2, "one of {ports:?} is of localhost alone");
}

#[test]
fn a_shell_is_logged_into_from_the_host() {
    if Command::new("ssh").arg("-V").output().is_err() {
        skip!("this machine has no ssh");
    }
    let context = scene();
    let key = context.directory().join("key");
    let mut keygen = Command::new("ssh-keygen");
    command::run(
        keygen
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key),
    )
    .ok();
    let public = fs::read_to_string(key.with_extension("pub")).expect("the public key");
    let script = format!(
        "mkdir -m 700 /root/.ssh; echo '{}' > /root/.ssh/authorized_keys; exec /usr/sbin/sshd -D -e",
        public.trim()
    );
    serve(
        &context,
        "shell",
        &["-p", "22", "--hostname", "inside"],
        &["bash", "-c", &script],
    );
    let port = context.port("shell", "22").to_string();
    let ssh = |host: &str, words: &str, input: &[u8]| {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-p", &port, "-i"]).arg(&key);
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
        ] {
            ssh.args(["-o", option]);
        }
        let to = format!("root@{host}");
        command::run_with(ssh.arg(to).arg(words), input, command::LIMIT)
    };
    // The kernel's way, and netd's.
    for host in ["127.0.0.1", "::1"] {
        assert_eq!(until_ok(|| ssh(host, "hostname", b"")), "inside");
        let counted = ssh(host, "wc -c", &vec![b'x'; 3_000_000]);
        assert_eq!(counted.ok(), "3000000");
    }
}

#[test]
fn a_private_network_is_seen_through_its_front_alone() {
    let context = scene();
    let outside = Outside::plug(&context);
    for network in [
        &["front"][..],
        &["elsewhere"],
        &["--internal", "--ipv6=false", "back"],
    ] {
        context
            .corten(&[&["network", "create"], network].concat())
            .ok();
    }
    let app = nginx(8080, &tell("app"));
    serve(
        &context,
        "app",
        &["--network", "back"],
        &["bash", "-c", &app],
    );
    serve(
        &context,
        "db",
        &["--network", "back", "--user", "postgres"],
        POSTGRES,
    );
    let front = nginx(80, &pass_on_to("http://app:8080"));
    context
        .corten(&[
            "create",
            "--name",
            "front",
            "--network",
            "front",
            "-p",
            "80",
            "services",
            "bash",
            "-c",
            &front,
        ])
        .ok();
    context
        .corten(&["network", "connect", "back", "front"])
        .ok();
    context.corten(&["start", "front"]).ok();
    serve(
        &context,
        "other",
        &["--network", "elsewhere"],
        &["sleep", "1000"],
    );
    let port = context.port("front", "80");
    let told = until_ok(|| outside.get(&outside.host(), port, "/"));
    assert!(
        told.ends_with(&format!("app for {}.", outside.address())),
        "{told}"
    );
    // Inside, everyone finds everyone.
    let exec = |name: &str, words: &[&str]| context.corten(&[&["exec", name], words].concat());
    until_ok(|| exec("app", &["pg_isready", "-q", "-h", "db"]));
    // Out of it, into it, and beside it, nobody does.
    let address = |name: &str, network: &str| {
        let template = format!("{{{{.NetworkSettings.Networks.{network}.IPAddress}}}}");
        context.inspect(name, &template)
    };
    let app = address("app", "back");
    assert_ne!(outside.get(&app, 8080, "/").code, 0);
    let curl = |name: &str, host: &str, port: u16| {
        let url = format!("http://{host}:{port}/");
        exec(name, &["curl", "-sS", "--max-time", "2", &url])
    };
    assert_ne!(curl("other", &app, 8080).code, 0);
    assert_ne!(curl("other", "app", 8080).code, 0);
    let direct = address("front", "front");
    assert_ne!(curl("other", &direct, 80).code, 0, "networks are apart");
    assert_ne!(
        exec("app", &["ping", "-c1", "-W1", &outside.address()]).code,
        0
    );
    assert_ne!(
        exec(
            "app",
            &["ping", "-c1", "-W1", &address("other", "elsewhere")]
        )
        .code,
        0
    );
    exec("other", &["ping", "-c1", "-W5", &outside.address()]).ok();
}

#[test]
fn a_client_without_ipv4_is_served() {
    if !std::path::Path::new("/proc/sys/net/ipv6").exists() {
        skip!("this kernel has no IPv6");
    }
    let context = scene();
    let outside = Outside::plug(&context);
    context
        .corten(&["network", "create", "--ipv4=false", "--ipv6", "six"])
        .ok();
    let script = nginx(80, "return 200 \"from $remote_addr.\";");
    serve(
        &context,
        "web",
        &["--network", "six", "-p", "80"],
        &["bash", "-c", &script],
    );
    serve(
        &context,
        "client",
        &["--network", "six"],
        &["sleep", "1000"],
    );
    let inside = context.corten(&[
        "exec",
        "client",
        "cat",
        "/proc/net/route",
        "/proc/net/if_inet6",
    ]);
    assert!(
        !inside.ok().contains("eth0\t"),
        "no route of IPv4: {inside:?}"
    );
    let own = context.inspect(
        "client",
        "{{.NetworkSettings.Networks.six.GlobalIPv6Address}}",
    );
    let told = until_ok(|| {
        context.corten(&[
            "exec",
            "client",
            "curl",
            "-sS",
            "--max-time",
            "5",
            "http://web/",
        ])
    });
    assert_eq!(told, format!("from {own}."));
    // A neighbour without IPv4, who keeps the address; and the host.
    let port = context.port("web", "80");
    let told = until_ok(|| outside.get(&outside.host6(), port, "/"));
    assert!(
        told.ends_with(&format!("from {}.", outside.address6())),
        "{told}"
    );
    let url = format!("http://[::1]:{port}/");
    let local = context.corten(&[
        "run",
        "--rm",
        "--network",
        "host",
        "services",
        "curl",
        "-sS",
        &url,
    ]);
    assert!(local.ok().starts_with("from "), "{local:?}");
}

#[test]
fn a_server_in_the_hosts_network_is_the_hosts() {
    let context = scene();
    let outside = Outside::plug(&context);
    let free = TcpListener::bind("[::]:0").expect("a free port");
    let port = free.local_addr().expect("its number").port();
    drop(free);
    let script = nginx(port, "return 200 \"host for $remote_addr.\";");
    serve(
        &context,
        "web",
        &["--network", "host"],
        &["bash", "-c", &script],
    );
    let told = until_ok(|| outside.get(&outside.host(), port, "/"));
    assert!(
        told.ends_with(&format!("host for {}.", outside.address())),
        "{told}"
    );
    let names = context.corten(&["exec", "web", "hostname"]);
    let own = fs::read_to_string("/proc/sys/kernel/hostname").expect("the host's name");
    assert_eq!(names.ok(), own.trim());
}

/// A page out of the database, through the C library's resolver.
const APP: &str = "mkdir -p /srv/www/cgi-bin; cd /srv/www/cgi-bin; \
    printf '#!/bin/sh\\necho; psql -U postgres -h db -Atc \"select 6 * 7\"\\n' > answer; chmod +x answer; \
    echo ready; exec busybox httpd -f -p 8080 -h /srv/www";

#[test]
fn compose_runs_a_web_server_an_application_and_a_database() {
    if fixtures::client("docker-compose").is_none() {
        skip!("docker compose is not among the clients");
    }
    let context = scene();
    let outside = Outside::plug(&context);
    let web = nginx(80, &pass_on_to("http://app:8080"));
    let project = json!({
        "name": "shop",
        "services": {
            "web": { "image": "services", "command": ["bash", "-c", web], "ports": ["80"],
                     "depends_on": ["app"], "networks": { "front": { "aliases": ["www"] } } },
            "app": { "image": "services", "command": ["bash", "-c", APP],
                     "depends_on": ["db"], "networks": ["front", "back"] },
            "db": { "image": "services", "command": POSTGRES, "user": "postgres", "networks": ["back"] },
        },
        "networks": { "front": {}, "back": { "internal": true } },
    });
    let file = context.directory().join("compose.yaml");
    // Compose puts variables in place of single dollars.
    fs::write(&file, project.to_string().replace('$', "$$")).expect("write the project");
    let compose = |words: &[&str]| {
        let mut compose = fixtures::client("docker-compose").expect("it was there");
        compose.env(
            "DOCKER_HOST",
            format!("unix://{}", context.socket().display()),
        );
        command::run(compose.arg("-f").arg(&file).args(words))
    };
    compose(&["up", "-d"]).ok();
    let shown = compose(&["port", "web", "80"]);
    let (_, port) = shown.ok().rsplit_once(':').expect("an address");
    let port = port.parse().expect("a port");
    let page = until_ok(|| {
        let mut page = outside.get(&outside.host(), port, "/cgi-bin/answer");
        // Until the database is there, the page is without an answer.
        page.code |= i32::from(!page.stdout.contains("42"));
        page
    });
    assert!(page.ends_with("42"), "{page}");
    let listed = compose(&["ps", "--format", "{{.Service}} {{.State}}"]);
    for service in ["web", "app", "db"] {
        let line = format!("{service} running");
        assert!(listed.ok().contains(&line), "{listed:?}");
    }
    assert!(compose(&["logs", "app"]).ok().contains("ready"));
    assert!(
        compose(&["logs", "web"])
            .ok()
            .contains("GET /cgi-bin/answer")
    );
    let exec =
        |service: &str, name: &str| compose(&["exec", "-T", service, "getent", "hosts", name]);
    exec("app", "db").ok();
    exec("app", "www").ok();
    assert_ne!(exec("web", "db").code, 0, "it is on another network");
    // Nothing has changed: nothing is made anew.
    let before = context.corten(&["ps", "-q", "--no-trunc"]);
    compose(&["up", "-d"]).ok();
    assert_eq!(context.corten(&["ps", "-q", "--no-trunc"]), before);
    compose(&["down", "-t", "0"]).ok();
    let left = context.corten(&["network", "ls", "-q", "--filter", "type=custom"]);
    assert_eq!(left.ok(), "");
    assert_eq!(context.corten(&["ps", "-aq"]).ok(), "");
}
