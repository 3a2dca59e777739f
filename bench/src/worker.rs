//! The measuring process inside a contestant's namespaces: reads one request a line, answers one line each.
//!
//! It alone takes times, so that entering namespaces is never measured; and it is one small process, so that every
//! contestant's program is started at the same price.

use std::fs::{self, File};
use std::io::{BufRead, Read, Seek, Write};
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::http::{self, Connection};
use crate::measure::{self, Service};
use crate::{IMAGE, floor, traffic};

/// What a worker can be asked for. All times are milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Run a program to its end.
    Run { argv: Vec<String> },
    /// The same, with everything that it costs: see [`measure::measure`].
    Measure { argv: Vec<String> },
    /// Start a program that serves at an address for as long as the worker lives; a foreign one's work is not counted.
    Serve {
        argv: Vec<String>,
        address: String,
        log: PathBuf,
        foreign: bool,
    },
    /// Start a daemon and wait for its first answer; its output goes to `log`.
    Daemon {
        argv: Vec<String>,
        socket: PathBuf,
        log: PathBuf,
    },
    /// Stop the daemon that was started last.
    Stop,
    /// Start this many containers, one after the other, that sleep.
    Fill { socket: PathBuf, count: usize },
    /// Remove all containers.
    Clear { socket: PathBuf },
    /// Create, start, wait and delete with so many clients for so many seconds; answers with starts a second.
    Rate {
        socket: PathBuf,
        clients: usize,
        seconds: u64,
    },
    /// Create a container with these settings, start it, which is the time, and remove it.
    Start { socket: PathBuf, host_config: Value },
    /// Start so many containers that each publish so many ports; answers with the time of each start.
    Ports {
        socket: PathBuf,
        containers: usize,
        each: usize,
    },
    /// Connect a container to a network, and disconnect it.
    Connect {
        socket: PathBuf,
        network: String,
        container: String,
    },
    /// See [`traffic::measure`].
    Traffic { socket: PathBuf, container: String },
    /// See [`traffic::names`].
    Names {
        socket: PathBuf,
        container: String,
        name: String,
    },
    /// The memory of every process in this network namespace: private and proportional KiB, and how many processes.
    Memory,
    /// The bare system calls.
    Floor { rootfs: PathBuf, scratch: PathBuf },
}

/// What a worker answers: numbers, or why not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) values: Vec<f64>,
    pub(crate) error: Option<String>,
}

/// Serves requests until the input ends, then stops what it started.
pub(crate) fn serve() -> Result<()> {
    let (mut daemon, mut services) = (None, Vec::new());
    for line in std::io::stdin().lock().lines() {
        let request = serde_json::from_str(&line?).context("read a request")?;
        let answer = match handle(request, &mut daemon, &mut services) {
            Ok(values) => Answer {
                values,
                error: None,
            },
            Err(error) => Answer {
                values: Vec::new(),
                error: Some(format!("{error:#}")),
            },
        };
        reap(daemon.as_ref());
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
        out.flush()?;
    }
    stop(&mut daemon)
}

/// Collects the orphans that came to this first process of the namespace (shims, monitors), without waiting for any.
fn reap(daemon: Option<&Child>) {
    let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    let orphans = children
        .split_whitespace()
        .filter_map(|word| word.parse::<i32>().ok());
    for pid in
        orphans.filter(|pid| daemon.is_none_or(|daemon| i32::try_from(daemon.id()) != Ok(*pid)))
    {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"))
            && sys::process::wait(pid).is_err()
        {
            eprintln!("bench: process {pid} was reaped by someone else");
        }
    }
}

fn handle(
    request: Request,
    daemon: &mut Option<Child>,
    services: &mut Vec<Service>,
) -> Result<Vec<f64>> {
    match request {
        Request::Run { argv } => run(&argv).map(|time| vec![millis(time)]),
        Request::Measure { argv } => {
            let daemon = daemon.as_ref().map(Child::id);
            measure::measure(services, daemon, || run(&argv))
        }
        Request::Serve {
            argv,
            address,
            log,
            foreign,
        } => {
            services.push(measure::start(&argv, &address, &log, foreign)?);
            Ok(Vec::new())
        }
        Request::Daemon { argv, socket, log } => {
            stop(daemon)?;
            let (child, time) = start_daemon(&argv, &socket, &log)?;
            *daemon = Some(child);
            Ok(vec![millis(time)])
        }
        Request::Stop => stop(daemon).map(|()| Vec::new()),
        Request::Fill { socket, count } => fill(&socket, count),
        Request::Clear { socket } => clear(&socket).map(|()| Vec::new()),
        Request::Rate {
            socket,
            clients,
            seconds,
        } => rate(&socket, clients, seconds).map(|rate| vec![rate]),
        Request::Start {
            socket,
            host_config,
        } => start_one(&socket, &host_config),
        Request::Ports {
            socket,
            containers,
            each,
        } => ports(&socket, containers, each),
        Request::Connect {
            socket,
            network,
            container,
        } => connect(&socket, &network, &container),
        Request::Traffic { socket, container } => traffic::measure(&socket, &container),
        Request::Names {
            socket,
            container,
            name,
        } => traffic::names(&socket, &container, &name),
        Request::Memory => memory(),
        Request::Floor { rootfs, scratch } => Ok(vec![millis(floor::run(&rootfs, &scratch)?)]),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn command(argv: &[String]) -> Result<Command> {
    let (program, arguments) = argv.split_first().context("an empty command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Ok(command)
}

fn run(argv: &[String]) -> Result<Duration> {
    let mut command = command(argv)?;
    // A file, not a pipe: a detached container may hold it open for good.
    let mut messages = nameless_file()?;
    command.stderr(messages.try_clone()?);
    let start = Instant::now();
    let status = command
        .spawn()
        .and_then(|mut child| child.wait())
        .with_context(|| argv.join(" "))?;
    let elapsed = start.elapsed();
    if !status.success() {
        let mut text = String::new();
        messages.rewind()?;
        messages.read_to_string(&mut text)?;
        bail!("{}: {status}: {}", argv.join(" "), text.trim());
    }
    Ok(elapsed)
}

fn nameless_file() -> Result<File> {
    let path = std::env::temp_dir().join(format!("corten-bench-{}", std::process::id()));
    let file = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

fn start_daemon(argv: &[String], socket: &Path, log: &Path) -> Result<(Child, Duration)> {
    let output = File::options().create(true).append(true).open(log)?;
    let mut command = command(argv)?;
    command.stdout(output.try_clone()?).stderr(output);
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| argv.join(" "))?;
    loop {
        let answered = Connection::open(socket)
            .and_then(|mut connection| connection.done("GET", "/_ping", None));
        if answered.is_ok() {
            return Ok((child, start.elapsed()));
        }
        if let Some(status) = child.try_wait()? {
            bail!(
                "{} ended with {status}: see {}",
                argv.join(" "),
                log.display()
            );
        }
        if start.elapsed() > Duration::from_mins(1) {
            stop(&mut Some(child))?;
            bail!("{} does not answer: see {}", argv.join(" "), log.display());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn stop(daemon: &mut Option<Child>) -> Result<()> {
    let Some(mut child) = daemon.take() else {
        return Ok(());
    };
    let pid = i32::try_from(child.id())?;
    sys::process::kill(pid, 15)?;
    for _ in 0..2000 {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    bail!("the daemon did not end within 20 s of SIGTERM")
}

fn fill(socket: &Path, count: usize) -> Result<Vec<f64>> {
    let mut connection = Connection::open(socket)?;
    let mut times = Vec::new();
    for _ in 0..count {
        let id = http::create(&mut connection, IMAGE, &["sleep", "1000000"])?;
        let start = Instant::now();
        connection.done("POST", &format!("/containers/{id}/start"), None)?;
        times.push(millis(start.elapsed()));
    }
    Ok(times)
}

/// Creates a container that sleeps and starts it; its id and the milliseconds of the start.
fn start(connection: &mut Connection, host_config: &Value) -> Result<(String, f64)> {
    let exposed: serde_json::Map<String, Value> = host_config["PortBindings"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(port, _)| (port.clone(), json!({})))
        .collect();
    let body = json!({
        "Image": IMAGE, "Cmd": ["sleep", "1000000"], "HostConfig": host_config, "ExposedPorts": exposed,
    });
    let answer = connection.done("POST", "/containers/create", Some(&body))?;
    let id = answer["Id"].as_str().context("the answer has no id")?;
    let begun = Instant::now();
    connection.done("POST", &format!("/containers/{id}/start"), None)?;
    Ok((id.to_owned(), millis(begun.elapsed())))
}

fn start_one(socket: &Path, host_config: &Value) -> Result<Vec<f64>> {
    let mut connection = Connection::open(socket)?;
    let (id, time) = start(&mut connection, host_config)?;
    connection.done("DELETE", &format!("/containers/{id}?force=1"), None)?;
    Ok(vec![time])
}

fn ports(socket: &Path, containers: usize, each: usize) -> Result<Vec<f64>> {
    let mut connection = Connection::open(socket)?;
    let bindings: serde_json::Map<String, Value> = (1..=each)
        .map(|port| (format!("{port}/tcp"), json!([{ "HostPort": "" }])))
        .collect();
    let host_config = json!({ "PortBindings": bindings });
    (0..containers)
        .map(|_| start(&mut connection, &host_config).map(|(_, time)| time))
        .collect()
}

fn connect(socket: &Path, network: &str, container: &str) -> Result<Vec<f64>> {
    let mut connection = Connection::open(socket)?;
    let body = json!({ "Container": container });
    let mut timed = |verb: &str| -> Result<f64> {
        let begun = Instant::now();
        connection.done("POST", &format!("/networks/{network}/{verb}"), Some(&body))?;
        Ok(millis(begun.elapsed()))
    };
    Ok(vec![timed("connect")?, timed("disconnect")?])
}

fn clear(socket: &Path) -> Result<()> {
    let all = Connection::open(socket)?.done("GET", "/containers/json?all=1", None)?;
    let ids: Vec<String> = all
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| Some(one["Id"].as_str()?.to_owned()))
        .collect();
    std::thread::scope(|scope| {
        let parts = ids.chunks(ids.len().div_ceil(8).max(1)).map(|part| {
            scope.spawn(move || -> Result<()> {
                let mut connection = Connection::open(socket)?;
                part.iter().try_for_each(|id| {
                    connection
                        .done("DELETE", &format!("/containers/{id}?force=1"), None)
                        .map(drop)
                })
            })
        });
        let threads: Vec<_> = parts.collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| bail!("a remover panicked"))
        })
    })
}

fn rate(socket: &Path, clients: usize, seconds: u64) -> Result<f64> {
    let over = AtomicBool::new(false);
    let start = Instant::now();
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|_| scope.spawn(|| cycles(socket, &over)))
            .collect();
        std::thread::sleep(Duration::from_secs(seconds));
        over.store(true, Ordering::Relaxed);
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a client panicked")))
            .collect::<Result<Vec<u32>>>()
    })?;
    Ok(f64::from(counts.into_iter().sum::<u32>()) / start.elapsed().as_secs_f64())
}

fn cycles(socket: &Path, over: &AtomicBool) -> Result<u32> {
    let mut connection = Connection::open(socket)?;
    let mut count = 0;
    while !over.load(Ordering::Relaxed) {
        let id = http::create(&mut connection, IMAGE, &["true"])?;
        for (method, path) in [("POST", "/start"), ("POST", "/wait"), ("DELETE", "")] {
            connection.done(method, &format!("/containers/{id}{path}"), None)?;
        }
        count += 1;
    }
    Ok(count)
}

/// Containers have network namespaces of their own: what shares this one is the engine.
fn memory() -> Result<Vec<f64>> {
    let own = fs::metadata("/proc/self/ns/net")?.st_ino();
    let (mut private, mut proportional, mut processes) = (0.0, 0.0, 0.0);
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let same = fs::metadata(entry.path().join("ns/net")).is_ok_and(|ns| ns.st_ino() == own);
        if pid == std::process::id() || !same {
            continue;
        }
        let Ok(text) = fs::read_to_string(entry.path().join("smaps_rollup")) else {
            continue;
        };
        for line in text.lines() {
            let value = line
                .split_whitespace()
                .nth(1)
                .and_then(|word| word.parse::<f64>().ok())
                .unwrap_or(0.0);
            match line.split(':').next() {
                Some("Private_Clean" | "Private_Dirty") => private += value,
                Some("Pss") => proportional += value,
                _ => {}
            }
        }
        processes += 1.0;
    }
    Ok(vec![private, proportional, processes])
}
