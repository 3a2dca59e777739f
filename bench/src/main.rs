//! Measures Corten beside its peers and beside a floor, in turn, in one run: `cargo xtask bench`.
//!
//! ```text
//! bench ──pipes──> worker in the contestant's own mount and network namespace ──> its daemon, its command line
//! ```
//!
//! Every contestant has its own root, socket, bridge and cgroup; all are gone when the program ends.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a developer's tool: it runs commands, writes files and talks to a person"
)]

mod contestants;
mod disk;
mod floor;
mod http;
mod images;
mod machine;
mod measure;
mod network;
mod report;
mod stats;
mod suites;
mod traffic;
mod worker;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use contestants::{Bare, Engine, Place};
use suites::{Field, NAMES, Row};

/// The image that everyone runs.
const IMAGE: &str = "busybox:latest";

/// Not /tmp: that may be a tmpfs, on which the peers' storage would not be what it is elsewhere.
const WORK: &str = "/var/tmp";

const USAGE: &str = "\
usage: bench [OPTION...]

  --suite A,B       run, exec, rate, memory, ps, crowd, daemon; of images pull, push, load, changed, images;
                    of networks (or network) netstart, connect, ports, traffic, names (all)
  --only A,B        corten, docker, podman, crun, runc, ctr, skopeo, floor (all that this machine has)
  --rounds N        samples a contestant (20); of suites of images but the last, 10 at most
  --containers N    the size of the crowd (300)
  --ports N         how many ports are published (1000)
  --corten PATH     the binary (beside this one)
  --clients DIR     the tree with the peers (~/.cache/corten/fixtures/clients)
  --no-history      do not write into bench/history";

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Options {
    suites: Vec<String>,
    only: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) containers: usize,
    pub(crate) ports: usize,
    corten: PathBuf,
    clients: PathBuf,
    history: bool,
}

impl Options {
    pub(crate) fn wants(&self, suite: &str) -> bool {
        self.suites.is_empty() || self.suites.iter().any(|name| name == suite)
    }

    /// The same of a suite of networks, which have a name together.
    pub(crate) fn wants_network(&self, suite: &str) -> bool {
        self.wants(suite) || self.wants(network::ALL)
    }

    pub(crate) fn invites(&self, contestant: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == contestant)
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("worker") {
        return worker::serve();
    }
    let Some(options) = parse(std::env::args().skip(1))? else {
        println!("{USAGE}");
        return Ok(());
    };
    clean_after_the_dead();
    let mut rows = Vec::new();
    if NAMES.iter().any(|name| options.wants(name)) {
        rows.extend(contest(&options, false, |field, _| {
            suites::run(field, &options)
        })?);
    }
    if network::NAMES
        .iter()
        .any(|name| options.wants_network(name))
    {
        rows.extend(contest(&options, false, |field, place| {
            if options.invites("podman") {
                admit("podman", &mut field.engines, Engine::podman(place));
            }
            network::run(field, &options)
        })?);
    }
    if images::NAMES.iter().any(|name| options.wants(name)) {
        rows.extend(contest(&options, true, |field, place| {
            images::run(place, std::mem::take(&mut field.engines), &options)
        })?);
    }
    rows.retain(|row| !row.samples.is_empty());
    report::print(&rows);
    if options.history && !rows.is_empty() {
        let history = Path::new(env!("CARGO_MANIFEST_DIR")).join("history");
        println!("\nlogged in {}", report::log(&rows, &history)?.display());
    }
    Ok(())
}

/// Brings everyone up, has them measured, and takes everything away. `disk`: on a disk of their own.
fn contest(
    options: &Options,
    disk: bool,
    measure: impl FnOnce(&mut Field, &Place) -> Vec<Row>,
) -> Result<Vec<Row>> {
    let place = place(options)?;
    if disk && let Err(error) = disk::mount(&place.work) {
        eprintln!("bench: without a disk of its own: {error:#}");
    }
    let rows = place
        .make_image()
        .map(|()| measure(&mut gather(&place, options), &place));
    clean(&place.work, &place.tag);
    rows
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>> {
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".into());
    let beside = std::env::current_exe()?.with_file_name("corten");
    let clients = PathBuf::from(home).join(".cache/corten/fixtures/clients");
    let mut options = Options {
        suites: Vec::new(),
        only: Vec::new(),
        rounds: 20,
        containers: 300,
        ports: 1000,
        corten: beside,
        clients,
        history: true,
    };
    let list = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    while let Some(word) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .with_context(|| format!("{word} needs a value"))
        };
        match word.as_str() {
            "--suite" => options.suites = list(value()?),
            "--only" => options.only = list(value()?),
            "--rounds" => options.rounds = value()?.parse()?,
            "--containers" => options.containers = value()?.parse()?,
            "--ports" => options.ports = value()?.parse()?,
            "--corten" => options.corten = fs::canonicalize(value()?)?,
            "--clients" => options.clients = fs::canonicalize(value()?)?,
            "--no-history" => options.history = false,
            "--help" | "-h" => return Ok(None),
            other => bail!("unknown option {other:?}\n\n{USAGE}"),
        }
    }
    let known = [&NAMES[..], &network::NAMES, &[network::ALL], &images::NAMES].concat();
    if let Some(unknown) = options
        .suites
        .iter()
        .find(|name| !known.contains(&name.as_str()))
    {
        bail!("unknown suite {unknown:?}: there are {}", known.join(", "));
    }
    Ok(Some(options))
}

fn place(options: &Options) -> Result<Place> {
    let tag = format!("{:x}", std::process::id());
    let work = Path::new(WORK).join(format!("corten-bench-{tag}"));
    fs::create_dir_all(&work)?;
    let tree = options
        .clients
        .join("usr/bin")
        .exists()
        .then(|| options.clients.clone());
    Ok(Place {
        work,
        tree,
        corten: options.corten.clone(),
        tag,
    })
}

/// Lets one take part, or says why not.
fn admit<T>(name: &str, list: &mut Vec<T>, one: Result<T>) {
    match one {
        Ok(one) => list.push(one),
        Err(error) => eprintln!("bench: without {name}: {error:#}"),
    }
}

/// Brings up everyone who is invited and able; says who is not and why.
fn gather(place: &Place, options: &Options) -> Field {
    let mut field = Field {
        engines: Vec::new(),
        bare: Vec::new(),
    };
    if options.invites("corten") {
        admit("corten", &mut field.engines, Engine::corten(place));
    }
    if options.invites("docker") {
        admit("docker", &mut field.engines, Engine::docker(place));
    }
    if !["run", "exec"].iter().any(|name| options.wants(name)) {
        return field;
    }
    if options.invites("podman") {
        admit("podman", &mut field.bare, Bare::podman(place));
    }
    for name in ["crun", "runc"] {
        if options.invites(name) {
            admit(name, &mut field.bare, Bare::runtime(place, name));
        }
    }
    if options.invites("floor") {
        admit("floor", &mut field.bare, Bare::floor(place));
    }
    field
}

/// Cleans up after runs that were killed. The tag is the number of the process that made it.
fn clean_after_the_dead() {
    for entry in fs::read_dir(WORK).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let tag = name
            .to_str()
            .and_then(|name| name.strip_prefix("corten-bench-"));
        let Some(tag) = tag else { continue };
        let Ok(pid) = u32::from_str_radix(tag, 16) else {
            continue;
        };
        if !Path::new("/proc").join(pid.to_string()).exists() {
            clean(&entry.path(), tag);
        }
    }
}

/// Removes this run's directory and cgroups; what it cannot remove it names.
fn clean(work: &Path, tag: &str) {
    let prefix = format!("corten-bench-{tag}");
    let mount = PathBuf::from("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(&mount)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    // One hierarchy at the mount point itself (v2), or one in each directory below it (v1).
    for hierarchy in hierarchies.chain([mount]) {
        for entry in fs::read_dir(hierarchy).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                remove_cgroup(&entry.path());
            }
        }
    }
    if let Err(error) = disk::unmount(work) {
        eprintln!("bench: unmount {}: {error:#}", work.display());
    }
    if let Err(error) = fs::remove_dir_all(work) {
        eprintln!("bench: left behind: {}: {error}", work.display());
    }
}

fn remove_cgroup(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    // What a failed run left inside: the name of the cgroup says that it is ours.
    let processes = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    for pid in processes.lines().filter_map(|line| line.parse().ok()) {
        if let Err(error) = sys::process::kill(pid, 9) {
            eprintln!("bench: kill {pid}: {error}");
        }
    }
    for _ in 0..100 {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                eprintln!("bench: left behind: {}: {error}", path.display());
                return;
            }
            _ => return,
        }
    }
    eprintln!("bench: left behind: {}: still busy", path.display());
}
