//! What is measured, and in which order. Contestants take turns within each round, so that a change of the machine's mood
//! meets all of them. Suites of many containers fill one engine after the other: two crowds at once would measure each other.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::contestants::{Bare, Engine};
use crate::worker::Request;
use crate::{IMAGE, Options};

/// The names that `--suite` takes, in the order in which they run.
pub(crate) const NAMES: [&str; 7] = ["run", "exec", "rate", "memory", "ps", "crowd", "daemon"];
/// How many containers the `memory` and `ps` suites speak of.
const SMALL_CROWD: usize = 100;
const CLIENTS: usize = 8;
const RATE_SECONDS: u64 = 5;

/// One row of the result: a metric, its unit, and each contestant's samples.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) metric: String,
    pub(crate) unit: &'static str,
    pub(crate) samples: BTreeMap<&'static str, Vec<f64>>,
}

impl Row {
    pub(crate) fn new(metric: &str, unit: &'static str) -> Self {
        Self {
            metric: metric.to_owned(),
            unit,
            samples: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, contestant: &'static str, result: Result<f64>) {
        match result {
            Ok(value) => self.samples.entry(contestant).or_default().push(value),
            Err(error) => eprintln!("bench: {contestant}: {}: {error:#}", self.metric),
        }
    }
}

/// Everyone who came.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) engines: Vec<Engine>,
    pub(crate) bare: Vec<Bare>,
}

/// Runs the chosen suites.
pub(crate) fn run(field: &mut Field, options: &Options) -> Vec<Row> {
    let mut rows = Vec::new();
    if options.wants("run") {
        rows.extend(starts(field, options.rounds));
    }
    if options.wants("exec") {
        rows.push(exec(field, options.rounds));
    }
    if options.wants("rate") {
        rows.push(rate(&mut field.engines));
    }
    if ["memory", "ps", "crowd"]
        .iter()
        .any(|name| options.wants(name))
    {
        rows.extend(crowd(&mut field.engines, options));
    }
    if options.wants("daemon") {
        rows.push(daemon(&mut field.engines, options.rounds.min(10)));
    }
    rows
}

fn starts(field: &mut Field, rounds: usize) -> [Row; 2] {
    let mut bridge = Row::new("run --rm busybox true", "ms");
    let mut none = Row::new("run --rm --network none busybox true", "ms");
    for _ in 0..rounds {
        for engine in &mut field.engines {
            bridge.add(engine.name, engine.verb(&["run", "--rm", IMAGE, "true"]));
            none.add(
                engine.name,
                engine.verb(&["run", "--rm", "--network", "none", IMAGE, "true"]),
            );
        }
        for bare in &mut field.bare {
            let result = bare.run();
            bridge.add(bare.name, result);
        }
    }
    // Peers without a network of their own stand beside both.
    for name in ["floor", "crun", "runc"] {
        if let Some(samples) = bridge.samples.get(name) {
            none.samples.insert(name, samples.clone());
        }
    }
    [bridge, none]
}

fn exec(field: &mut Field, rounds: usize) -> Row {
    let mut row = Row::new("exec C true", "ms");
    for engine in &mut field.engines {
        if let Err(error) = engine.verb(&[
            "run",
            "--detach",
            "--name",
            "bench-exec",
            IMAGE,
            "sleep",
            "1000000",
        ]) {
            eprintln!("bench: {}: exec: {error:#}", engine.name);
        }
    }
    let mut sleeping = Vec::new();
    for bare in &mut field.bare {
        match bare.sleep() {
            Ok(true) => sleeping.push(bare),
            Ok(false) => {}
            Err(error) => eprintln!("bench: {}: exec: {error:#}", bare.name),
        }
    }
    for _ in 0..rounds {
        for engine in &mut field.engines {
            row.add(engine.name, engine.verb(&["exec", "bench-exec", "true"]));
        }
        for bare in &mut sleeping {
            row.add(bare.name, bare.exec());
        }
    }
    for bare in sleeping {
        if let Err(error) = bare.remove() {
            eprintln!("bench: {}: remove: {error:#}", bare.name);
        }
    }
    clear_all(&mut field.engines);
    row
}

fn rate(engines: &mut [Engine]) -> Row {
    let mut row = Row::new("create, start, wait, rm: 8 clients", "starts/s");
    for _ in 0..2 {
        for engine in engines.iter_mut() {
            let request = Request::Rate {
                socket: engine.socket.clone(),
                clients: CLIENTS,
                seconds: RATE_SECONDS,
            };
            let result = engine
                .machine
                .ask(&request)
                .and_then(|values| values.first().copied().context("no rate"));
            row.add(engine.name, result);
        }
    }
    clear_all(engines);
    row
}

/// Fills each engine with containers and looks at it empty, at a hundred, and full.
fn crowd(engines: &mut [Engine], options: &Options) -> Vec<Row> {
    let count = if options.wants("crowd") {
        options.containers
    } else {
        SMALL_CROWD
    };
    let small = SMALL_CROWD.min(count);
    let mut rows = Rows {
        idle: Row::new("memory idle, private", "KiB"),
        each: Row::new(&format!("memory a container of {small}, private"), "KiB"),
        each_pss: Row::new(&format!("memory a container of {small}, PSS"), "KiB"),
        ps: Row::new(&format!("ps with {small}"), "ms"),
        first: Row::new("API start, first 20", "ms"),
        last: Row::new(&format!("API start, last 20 of {count}"), "ms"),
    };
    for engine in engines.iter_mut() {
        if let Err(error) = crowd_one(engine, &mut rows, (small, count), options.rounds) {
            eprintln!("bench: {}: crowd: {error:#}", engine.name);
        }
        if let Err(error) = engine.clear() {
            eprintln!("bench: {}: remove the crowd: {error:#}", engine.name);
        }
    }
    let Rows {
        idle,
        each,
        each_pss,
        ps,
        first,
        last,
    } = rows;
    let mut chosen = Vec::new();
    if options.wants("memory") {
        chosen.extend([idle, each, each_pss]);
    }
    if options.wants("ps") {
        chosen.push(ps);
    }
    if options.wants("crowd") {
        chosen.extend([first, last]);
    }
    chosen
}

struct Rows {
    idle: Row,
    each: Row,
    each_pss: Row,
    ps: Row,
    first: Row,
    last: Row,
}

fn crowd_one(
    engine: &mut Engine,
    rows: &mut Rows,
    (small, count): (usize, usize),
    rounds: usize,
) -> Result<()> {
    let name = engine.name;
    engine.restart()?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    let idle = engine.machine.ask(&Request::Memory)?;
    rows.idle.add(name, Ok(idle[0]));
    let fill = |engine: &mut Engine, count| {
        engine.machine.ask(&Request::Fill {
            socket: engine.socket.clone(),
            count,
        })
    };
    let mut times = fill(engine, small)?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    let full = engine.machine.ask(&Request::Memory)?;
    let containers = small as f64;
    rows.each.add(name, Ok((full[0] - idle[0]) / containers));
    rows.each_pss
        .add(name, Ok((full[1] - idle[1]) / containers));
    for _ in 0..rounds {
        let time = engine.verb(&["ps"]);
        rows.ps.add(name, time);
    }
    times.extend(fill(engine, count - small)?);
    times
        .iter()
        .take(20)
        .for_each(|time| rows.first.add(name, Ok(*time)));
    times
        .iter()
        .rev()
        .take(20)
        .for_each(|time| rows.last.add(name, Ok(*time)));
    Ok(())
}

fn daemon(engines: &mut [Engine], rounds: usize) -> Row {
    let mut row = Row::new("daemon, start to first answer", "ms");
    for _ in 0..rounds {
        for engine in engines.iter_mut() {
            let time = engine.restart();
            row.add(engine.name, time);
        }
    }
    row
}

fn clear_all(engines: &mut [Engine]) {
    for engine in engines {
        if let Err(error) = engine.clear() {
            eprintln!("bench: {}: remove containers: {error:#}", engine.name);
        }
    }
}
