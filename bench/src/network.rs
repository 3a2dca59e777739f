//! Networks: what they cost at a start, places that come and go, ports by the thousand, what goes through them, names.
//! Contestants take turns within each round.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::contestants::Engine;
use crate::suites::{Field, Row};
use crate::traffic::PORT;
use crate::worker::Request;
use crate::{IMAGE, Options};

/// The names that `--suite` takes; `network` is all of them.
pub(crate) const NAMES: [&str; 5] = ["netstart", "connect", "ports", "traffic", "names"];
/// The name of all of them.
pub(crate) const ALL: &str = "network";
/// How many ports a container of the suite `ports` publishes.
const PORTS_EACH: usize = 10;
/// Rounds of the suite `names`, at most: they take seconds each.
const NAME_ROUNDS: usize = 10;

const NETWORK: &str = "bench-net";
const ONE: &str = "bench-one";
const TWO: &str = "bench-two";

/// Runs the chosen suites.
pub(crate) fn run(field: &mut Field, options: &Options) -> Vec<Row> {
    let engines = &mut field.engines;
    let mut rows = Vec::new();
    // Podman comes last. It has no name server here, and the containers that its service creates have no cgroup of ours.
    let with_daemon = engines.iter().filter(|one| one.name != "podman").count();
    for engine in engines.iter_mut() {
        let prepared = prepare(engine);
        say(engine, prepared);
    }
    if options.wants_network("connect") {
        rows.extend(connect(engines, options.rounds));
    }
    if options.wants_network("traffic") {
        rows.extend(traffic(engines, options.rounds));
    }
    if options.wants_network("names") {
        rows.extend(names(
            &mut engines[..with_daemon],
            options.rounds.min(NAME_ROUNDS),
        ));
    }
    for engine in engines.iter_mut() {
        let cleared = engine.clear();
        say(engine, cleared);
    }
    if options.wants_network("netstart") {
        rows.extend(starts(&mut engines[..with_daemon], options.rounds));
    }
    for engine in engines.iter_mut() {
        let removed = engine.verb(&["network", "rm", NETWORK]).map(drop);
        say(engine, removed);
    }
    if options.wants_network("ports") {
        rows.extend(ports(&mut engines[..with_daemon], options.ports));
    }
    rows
}

fn say(engine: &Engine, result: Result<()>) {
    if let Err(error) = result {
        eprintln!("bench: {}: networks: {error:#}", engine.name);
    }
}

/// A network, and two containers on it; the first has published a port on the default bridge.
fn prepare(engine: &mut Engine) -> Result<()> {
    let published = format!("{PORT}");
    engine.verb(&[&["network", "create"], engine.network, &[NETWORK]].concat())?;
    for (name, more) in [
        (ONE, &["--publish", published.as_str()][..]),
        (TWO, &["--network", NETWORK]),
        ("bench-three", &["--network", NETWORK]),
    ] {
        let run = ["run", "--detach", "--name", name];
        let program = [IMAGE, "sleep", "1000000"];
        engine.verb(&[&run[..], more, &program].concat())?;
    }
    Ok(())
}

/// Asks each engine in its turn for a value of every row. Zero is that of something that the contestant does not have.
fn turns<const N: usize>(
    engines: &mut [Engine],
    rounds: usize,
    mut rows: [Row; N],
    request: impl Fn(&Engine) -> Request,
) -> [Row; N] {
    for _ in 0..rounds {
        for engine in engines.iter_mut() {
            let request = request(engine);
            match engine.machine.ask(&request) {
                Ok(values) => {
                    for (row, value) in rows.iter_mut().zip(values) {
                        if value > 0.0 {
                            row.add(engine.name, Ok(value));
                        }
                    }
                }
                Err(error) => rows[0].add(engine.name, Err(error)),
            }
        }
    }
    rows
}

fn connect(engines: &mut [Engine], rounds: usize) -> [Row; 2] {
    let rows = [
        Row::new("API network connect, running container", "ms"),
        Row::new("API network disconnect", "ms"),
    ];
    turns(engines, rounds, rows, |engine| Request::Connect {
        socket: engine.socket.clone(),
        network: NETWORK.to_owned(),
        container: ONE.to_owned(),
    })
}

fn traffic(engines: &mut [Engine], rounds: usize) -> [Row; 8] {
    let row = |what: &str, way: &str, unit| Row::new(&format!("{what}, {way}"), unit);
    let rows = [
        "straight to the container",
        "published port, kernel's way",
        "published port at 127.0.0.1",
        "published port at [::1]",
    ]
    .map(|way| [row("throughput", way, "MB/s"), row("round trip", way, "us")])
    .into_iter()
    .flatten()
    .collect::<Vec<Row>>()
    .try_into()
    .expect("four times two");
    turns(engines, rounds, rows, |engine| Request::Traffic {
        socket: engine.socket.clone(),
        container: ONE.to_owned(),
    })
}

fn names(engines: &mut [Engine], rounds: usize) -> [Row; 2] {
    let rows = [
        Row::new("name server, 32 questions at once", "answers/s"),
        Row::new("name server, one question", "us"),
    ];
    turns(engines, rounds, rows, |engine| Request::Names {
        socket: engine.socket.clone(),
        container: TWO.to_owned(),
        name: "bench-three".to_owned(),
    })
}

/// One container after the other, each on another kind of network. The network's part is what the start on the default
/// bridge takes longer than the one without a network just before it.
fn starts(engines: &mut [Engine], rounds: usize) -> Vec<Row> {
    let port = json!({ format!("{PORT}/tcp"): [{ "HostPort": "" }] });
    let kinds: [(&str, Value); 4] = [
        ("no network", json!({ "NetworkMode": "none" })),
        ("default bridge", json!({ "NetworkMode": "bridge" })),
        ("network of its own", json!({ "NetworkMode": NETWORK })),
        (
            "default bridge, a published port",
            json!({ "NetworkMode": "bridge", "PortBindings": port }),
        ),
    ];
    let mut rows: Vec<Row> = kinds
        .iter()
        .map(|(kind, _)| Row::new(&format!("API start, {kind}"), "ms"))
        .collect();
    let mut part = Row::new("network's part of a start", "ms");
    for _ in 0..rounds {
        for engine in engines.iter_mut() {
            let mut times = Vec::new();
            for ((_, host_config), row) in kinds.iter().zip(&mut rows) {
                let request = Request::Start {
                    socket: engine.socket.clone(),
                    host_config: host_config.clone(),
                };
                let time = engine
                    .machine
                    .ask(&request)
                    .and_then(|values| values.first().copied().context("no time"));
                times.extend(time.as_ref().ok().copied());
                row.add(engine.name, time);
            }
            if let [none, bridge, ..] = times[..] {
                part.add(engine.name, Ok(bridge - none));
            }
        }
    }
    rows.push(part);
    rows
}

/// So many ports, ten of a container: the first containers and the last.
fn ports(engines: &mut [Engine], count: usize) -> [Row; 3] {
    let mut rows = [
        Row::new(
            &format!("API start with {PORTS_EACH} ports, first 10"),
            "ms",
        ),
        Row::new(
            &format!("API start with {PORTS_EACH} ports, last 10 of {count} ports"),
            "ms",
        ),
        Row::new(&format!("memory of {count} ports, private"), "KiB"),
    ];
    for engine in engines.iter_mut() {
        if let Err(error) = ports_one(engine, &mut rows, count) {
            eprintln!("bench: {}: ports: {error:#}", engine.name);
        }
        let cleared = engine.clear();
        say(engine, cleared);
    }
    rows
}

fn ports_one(engine: &mut Engine, rows: &mut [Row; 3], count: usize) -> Result<()> {
    let before = engine.machine.ask(&Request::Memory)?;
    let times = engine.machine.ask(&Request::Ports {
        socket: engine.socket.clone(),
        containers: count.div_ceil(PORTS_EACH),
        each: PORTS_EACH,
    })?;
    let after = engine.machine.ask(&Request::Memory)?;
    for (row, part) in rows.iter_mut().zip([
        times.iter().take(10).collect::<Vec<_>>(),
        times.iter().rev().take(10).collect(),
    ]) {
        for time in part {
            row.add(engine.name, Ok(*time));
        }
    }
    rows[2].add(engine.name, Ok(after[0] - before[0]));
    Ok(())
}
