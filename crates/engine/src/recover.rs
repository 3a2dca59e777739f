//! After a restart: list the records, ask the monitors, reconcile, sweep; in that order, in this file.
//!
//! Configuration is on disk, liveness is in the monitor. For each record:
//!
//! | run noted | monitor answers | exit.json of that run | it is |
//! |---|---|---|---|
//! | yes | started | | running: taken over |
//! | yes | not started | | half a start: ended, the record stands |
//! | yes | no | yes | exited with that code |
//! | any | no | no | exited with 255 if the record says running, else as recorded |

use std::collections::HashSet;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use monitor::protocol::{Reply, Request};
use network::Endpoint;
use sys::socket::SeqPacket;

use crate::background::REMOVED;
use crate::blocking::{Class, blocking};
use crate::container::record::{Paths, Run, Stored};
use crate::container::state::Running;
use crate::container::{Container, Published, State};
use crate::ops::container::start::etc;
use crate::ops::network::{note, record};
use crate::supervise::{clean_up, known, read_exit, read_run, supervise, unknown_end};
use crate::task::{Events, Task};
use crate::{Config, Engine, Error, Result, cgroups, naming, ports};

/// How long a monitor may take to answer before it is taken for dead.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the disk says.
#[derive(Debug)]
pub(crate) struct Found {
    containers: Vec<(Stored, Option<Run>)>,
    /// Records that could not be read.
    pub(crate) warnings: Vec<String>,
}

impl Found {
    /// Places on networks that running containers may have.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        let runs = self.containers.iter().filter_map(|(_, run)| run.as_ref());
        runs.flat_map(|run| run.endpoints.iter().cloned()).collect()
    }
}

/// Reads all records; damaged ones are put aside and named.
pub(crate) fn find(config: &Config) -> Result<Found> {
    let root = config.data_root.join("containers");
    sweep_removed(&root);
    let loaded = store::load_all::<Stored>(
        &root,
        Some("record.json"),
        &config.data_root.join("quarantine"),
    )?;
    let mut found = Found {
        containers: Vec::new(),
        warnings: Vec::new(),
    };
    for (path, why) in loaded.quarantined {
        found.warnings.push(format!(
            "a damaged record was put aside: {}: {why}",
            path.display()
        ));
    }
    for (path, stored) in loaded.records {
        let named = path
            .parent()
            .and_then(|dir| dir.file_name())
            .is_some_and(|name| *name == *stored.record.id);
        if named {
            let run = read_run(&paths(config, &stored.record.id));
            found.containers.push((stored, run));
        } else {
            found.warnings.push(format!(
                "a record lies in another container's directory: {}",
                path.display()
            ));
        }
    }
    Ok(found)
}

/// Half a removal is finished first: the record went with the directory's name.
fn sweep_removed(root: &std::path::Path) {
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(REMOVED) {
            // What stays is tried again by the background's tidying.
            drop(store::remove_tree(&entry.path()));
        }
    }
}

fn paths(config: &Config, id: &str) -> Paths {
    Paths::new(&config.state_dir(id), &config.run_dir(id))
}

/// Takes over what runs, settles what does not, removes what belongs to nobody.
pub(crate) async fn recover(engine: &Arc<Engine>, found: Found) -> Result<()> {
    let mut taking_over = tokio::task::JoinSet::new();
    for (stored, run) in found.containers {
        if !engine.snapshots.has(&stored.record.id) {
            // A removal that had got as far as the tree, or a power cut: without its tree it is no container.
            forget(engine, &stored);
            continue;
        }
        let Some(container) = register(engine, stored) else {
            continue;
        };
        taking_over.spawn(settle(engine.clone(), container, run));
    }
    while let Some(settled) = taking_over.join_next().await {
        if let Err(error) = settled {
            tracing::error!(%error, "recover a container");
        }
    }
    // The addresses of those that ended while no daemon ran.
    engine.networks.expect_nobody();
    let sweeper = engine.clone();
    blocking("sweep leftovers", Class::Disk, move || {
        ports::restore(&sweeper);
        sweep(&sweeper);
    })
    .await;
    Ok(())
}

fn forget(engine: &Engine, stored: &Stored) {
    let id = &stored.record.id;
    tracing::warn!(container = %id, "its tree is gone: the container is removed");
    if let Err(error) = store::remove_tree(&engine.config.state_dir(id)) {
        tracing::warn!(container = %id, %error, "remove a container without a tree");
    }
}

fn register(engine: &Arc<Engine>, stored: Stored) -> Option<Arc<Container>> {
    let id = stored.record.id.clone();
    let names = &engine.containers.names;
    // Two records with one name cannot be written; if they are there all the same, both stay reachable.
    let name = names
        .reserve(stored.name, &id)
        .or_else(|_| names.reserve_random(&id))
        .ok()?;
    let published = Published {
        name: name.name().clone(),
        attachments: stored
            .attachments
            .unwrap_or_else(|| stored.record.spec.attachments()),
        record: stored.record,
        state: stored.state,
        endpoints: Vec::new(),
        ports: Vec::new(),
        exits: 0,
        ending: false,
        removed: false,
        execs: Vec::new(),
    };
    let container = Container::new(name, paths(&engine.config, &id), published);
    engine.containers.insert(container.clone());
    Some(container)
}

async fn settle(engine: Arc<Engine>, container: Arc<Container>, run: Option<Run>) {
    let recorded = container.now();
    if let Some(attachments) = run.as_ref().and_then(|run| run.attachments.clone()) {
        container.publish(|now| now.attachments = attachments);
    }
    if let Some(run) = &run
        && let Some((task, events, running, paused)) = ask(&container, run).await
    {
        let (worker, subject, run) = (engine.clone(), container.clone(), run.clone());
        blocking("take over a container", Class::Kernel, move || {
            take_over(&worker, &subject, &run, &recorded, running, paused);
        })
        .await;
        container.set_task(Some(task));
        tokio::spawn(supervise(engine, container, events));
        return;
    }
    let lease = container.lease().await;
    clean_up(&engine, &container).await;
    let before = container.now();
    let began = run
        .map(|run| run.began)
        .or(before.state.started_at())
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let exit = read_exit(&container.paths)
        .map(|exit| known(&exit))
        .filter(|exit| exit.started_at >= began);
    let state = match (exit, &before.state) {
        (Some(exit), _) => State::Exited(exit),
        (None, State::Running(running) | State::Paused(running)) => {
            State::Exited(unknown_end(running.started_at))
        }
        (None, state) => state.clone(),
    };
    if state != before.state {
        container.publish(|now| now.state = state);
        let (path, stored) = (container.paths.record(), container.now().stored());
        let saved = blocking("record what was found", Class::Disk, move || {
            store::save(&path, &stored, false)
        })
        .await;
        if let Err(error) = saved {
            tracing::warn!(container = %container.id, %error, "record what was found");
        }
    }
    let ended = matches!(container.now().state, State::Exited(_));
    if ended
        && before.record.spec.auto_remove
        && let Err(error) = crate::ops::container::remove::erase(&engine, &lease).await
    {
        tracing::warn!(container = %container.id, %error, "remove a container that ended");
    }
}

type Alive = (Arc<Task>, Events, Running, bool);

/// Asks a monitor; one that is alive but has not started its container is told to go. One whose container has ended goes by
/// itself: it has yet to record that, and lets go of its engines when it has, which is not the end of it while a client reads.
async fn ask(container: &Arc<Container>, run: &Run) -> Option<Alive> {
    let socket = container.paths.socket();
    let connected = blocking("connect to a monitor", Class::Kernel, move || {
        SeqPacket::connect(&socket)
    })
    .await
    .ok()?;
    let pidfd = connected
        .peer()
        .ok()
        .and_then(|peer| sys::process::PidFd::open(peer.pid).ok())
        .map(Arc::new);
    let (task, events) = Task::adopt(&container.id, connected, pidfd).ok()?;
    let reply = tokio::time::timeout(PATIENCE, task.call(Request::State, Vec::new())).await;
    match reply {
        Ok(Ok(Reply::State {
            pid,
            started: true,
            paused,
            started_at,
            ..
        })) => {
            let noted = crate::container::state::time_from_nanos(started_at);
            let running = Running {
                pid,
                started_at: if started_at == 0 { run.began } else { noted },
            };
            Some((task, events, running, paused))
        }
        reply => {
            let ended = matches!(reply, Ok(Ok(Reply::NotRunning) | Err(_)));
            if !(ended && tokio::time::timeout(PATIENCE, task.gone()).await.is_ok()) {
                task.kill();
                drop(tokio::time::timeout(PATIENCE, task.gone()).await);
            }
            None
        }
    }
}

fn take_over(
    engine: &Engine,
    container: &Container,
    run: &Run,
    recorded: &Published,
    running: Running,
    paused: bool,
) {
    let endpoints = places(engine, container, run, recorded, running.pid);
    ports::adopt(engine, &container.now().record, &endpoints, &run.ports);
    naming::adopt(engine, container, &endpoints);
    for endpoint in &endpoints {
        if let Err(error) = engine.networks.adopt(endpoint) {
            tracing::warn!(container = %container.id, %error, "keep a running container's address");
        }
    }
    container.publish(|now| {
        now.endpoints = endpoints;
        now.ports.clone_from(&run.ports);
        now.state = if paused {
            State::Paused(running)
        } else {
            State::Running(running)
        };
    });
}

/// The places of a container that runs. What a crash left of connect or disconnect is finished: a place that is not plugged
/// in, or whose network is no longer attached, goes.
fn places(
    engine: &Engine,
    container: &Container,
    run: &Run,
    recorded: &Published,
    pid: i32,
) -> Vec<Endpoint> {
    let netns = network::of_process(pid).ok();
    let netns = netns.as_ref().map(AsFd::as_fd);
    let detached = |endpoint: &Endpoint| {
        let mut noted = run.attachments.iter();
        noted.any(|all| all.iter().all(|one| one.network_id != endpoint.network_id))
    };
    let mut endpoints = run.endpoints.clone();
    let is_half = |one: &mut Endpoint| detached(one) || !engine.networks.is_plugged(netns, one);
    let halves: Vec<Endpoint> = endpoints.extract_if(.., is_half).collect();
    for half in &halves {
        engine.networks.unplug(netns, half);
        container.publish(|now| {
            now.attachments
                .retain(|one| one.network_id != half.network_id);
        });
    }
    let begun = run.attachments.as_ref();
    if !halves.is_empty() || begun.is_some_and(|noted| *noted != recorded.attachments) {
        let finished = netns.map(|netns| finish(container, netns, &halves, &endpoints));
        if let Some(Err(error)) = finished {
            tracing::warn!(container = %container.id, %error, "finish a change of its networks");
        }
    }
    endpoints
}

/// What connect and disconnect do once the places are as they should be.
fn finish(
    container: &Container,
    netns: BorrowedFd<'_>,
    gone: &[Endpoint],
    endpoints: &[Endpoint],
) -> Result<()> {
    let now = container.now();
    network::reroute(netns, endpoints).map_err(Error::Networking)?;
    for endpoint in gone {
        etc::remove_hosts(container, &now.record, endpoint)?;
    }
    note(container, &now.attachments, endpoints)?;
    record(container, &now.attachments)
}

/// Removes what no record speaks of: half-created containers, trees, run directories, control groups.
fn sweep(engine: &Engine) {
    let config = &engine.config;
    let known = |name: &str| engine.containers.contains(name);
    let images: HashSet<String> = engine.snapshots.committed().into_iter().collect();
    for key in engine.snapshots.keys().unwrap_or_default() {
        if is_id(&key)
            && !images.contains(&key)
            && !known(&key)
            && let Err(error) = engine.snapshots.remove(&key)
        {
            tracing::warn!(%key, %error, "remove a tree of no container");
        }
    }
    for id in cgroups::containers(&engine.host, &config.cgroup_parent) {
        if !known(&id)
            && let Err(error) = cgroups::end(&engine.host, &config.cgroup_parent, &id)
        {
            tracing::warn!(%id, %error, "remove control groups of no container");
        }
    }
    for root in [&config.data_root, &config.exec_root] {
        let Ok(entries) = fs::read_dir(root.join("containers")) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_id(&name)
                && !known(&name)
                && let Err(error) = store::remove_tree(&entry.path())
            {
                tracing::warn!(%name, %error, "remove a directory of no container");
            }
        }
    }
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
