//! The blocking part of a start: everything up to a monitor that runs.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use monitor::protocol::{Launch, Log, Stdio};
use network::{Endpoint, Port, Sandbox};
use runtime::plan::{Extras, Plan};
use stdx::Undo;
use sys::cgroup::Layout;
use sys::root::RootDir;

use super::etc;
use crate::bundle::{self, Facts};
use crate::container::merge::environment;
use crate::container::record::{Record, Run};
use crate::container::spec::{LogConfig, Mount, NetworkMode};
use crate::container::{Container, Published, Spec};
use crate::links::Link;
use crate::monitors::{Handed, Monitor};
use crate::steps::step;
use crate::users::{Accounts, Identity};
use crate::{Engine, Error, Result, ground, links, naming, ports};

/// ctrl-p ctrl-q.
const DETACH_KEYS: [u8; 2] = [16, 17];

/// A monitor that runs.
pub(super) struct Launched {
    pub(super) monitor: Monitor,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) ports: Vec<Port>,
}

/// Mounts a container's root, and keeps it out of sight.
pub(in crate::ops::container) fn mount_root(
    engine: &Engine,
    container: &Container,
) -> Result<OwnedFd> {
    let volatile = container.now().record.spec.auto_remove;
    let ground = ground::directory(&engine.config);
    let root = engine
        .snapshots
        .mount_above(&container.id, false, volatile, Some(&ground))?;
    Ok(root)
}

/// Mounts, connects, writes, compiles, and gives all of it to a monitor.
pub(super) fn launch(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    undo: &mut Undo<'static>,
) -> Result<Launched> {
    let now = container.now();
    let (record, paths) = (&*now.record, &container.paths);
    let spec = &record.spec;
    let began = SystemTime::now();
    store::remove_tree(&paths.run_dir)?;
    store::create_dir(&paths.run_dir)?;
    let run_dir = paths.run_dir.clone();
    undo.push("remove run directory", move || {
        store::remove_tree(&run_dir).map_err(|error| error.to_string())
    });
    let rootfs = match container.root.take() {
        Some(mounted) => mounted,
        None => mount_root(engine, container)?,
    };
    step("start.mounted");
    let root = RootDir::from_fd(
        rootfs
            .try_clone()
            .map_err(Error::io("duplicate the root mount"))?,
    );
    let identity = Accounts::read(&root)?.identify(&record.effective.user, &spec.group_add)?;
    let (Sandbox { netns, endpoints }, host) = connect(engine, &now, undo)?;
    let ports = ports::publish(engine, container, &endpoints, undo)?;
    let links = links::at_start(engine, &now)?;
    step("start.connected");
    if host.is_none() {
        let resolves = naming::resolves(engine, &endpoints);
        let mut hosts: Vec<_> = links.iter().flat_map(Link::hosts).collect();
        hosts.extend(naming::host_line(engine, spec, &endpoints));
        etc::write_all(resolves, container, record, &endpoints, &hosts)?;
    }
    bind_sources(spec)?;
    store::save(
        &paths.run(),
        &Run {
            began,
            attachments: None,
            endpoints: endpoints.clone(),
            ports: ports.clone(),
        },
        false,
    )?;
    step("start.files");
    let plan = compile(
        engine,
        container,
        record,
        &identity,
        Shared {
            netns: netns.is_some(),
            etc: host.as_deref().unwrap_or(container),
            linked: links.iter().flat_map(|link| link.variables(&now)).collect(),
        },
    )?;
    let launch = Launch {
        id: container.id.clone(),
        run_dir: text(&paths.run_dir),
        state_dir: text(&paths.state_dir),
        durable: !spec.auto_remove,
        holds_mounts: spec.auto_remove && spec.mounts.is_empty(),
        plan,
        stdio: stdio(spec),
        log: log(container, spec),
        detach_keys: DETACH_KEYS.to_vec(),
    };
    let handed = Handed {
        rootfs: &rootfs,
        netns: netns.as_ref(),
        init: spec.init,
    };
    let monitor = hand_over(engine, &launch, handed)?;
    step("start.spawned");
    let process = monitor.process.clone();
    undo.push("end the monitor", move || {
        // It may have ended by itself, which is as good.
        drop(process.send_signal(9));
        Ok(())
    });
    // While the monitor makes the container: its program does not begin before it is told to.
    naming::start(engine, container, &endpoints, netns.as_ref(), undo)?;
    links::follow(engine, &now, &endpoints);
    Ok(Launched {
        monitor,
        endpoints,
        ports,
    })
}

/// The sandbox of a start: one with a place on each network, or another container's.
fn connect(
    engine: &Arc<Engine>,
    now: &Published,
    undo: &mut Undo<'static>,
) -> Result<(Sandbox, Option<Arc<Container>>)> {
    if let NetworkMode::Container(other) = &now.record.spec.network {
        let other = joined(engine, now.id(), other)?;
        let sandbox = Sandbox {
            netns: Some(crate::ops::network::namespace(&other)?),
            endpoints: Vec::new(),
        };
        return Ok((sandbox, Some(other)));
    }
    let sandbox = engine
        .networks
        .connect(&now.attachments)
        .map_err(Error::Networking)?;
    let (networks, endpoints) = (engine.clone(), sandbox.endpoints.clone());
    undo.push("release addresses", move || {
        networks.networks.release(&endpoints);
        Ok(())
    });
    Ok((sandbox, None))
}

/// The container whose network is shared.
fn joined(engine: &Engine, id: &str, other: &str) -> Result<Arc<Container>> {
    let found = engine.containers.find(other).map_err(|error| {
        Error::Invalid(format!("joining network namespace of container: {error}"))
    })?;
    if found.id == id {
        return Err(Error::Invalid(
            "cannot join own network namespace".to_owned(),
        ));
    }
    if !found.now().state.is_running() {
        return Err(Error::Conflict(format!(
            "cannot join network namespace of a non running container: container {} is {}",
            found.now().name,
            found.now().state.docker_status()
        )));
    }
    Ok(found)
}

/// `-v` makes the directories that it names; what `--mount` names has to exist.
fn bind_sources(spec: &Spec) -> Result<()> {
    for mount in &spec.mounts {
        let Mount::Bind {
            source,
            create_source,
            ..
        } = mount
        else {
            continue;
        };
        if source.symlink_metadata().is_ok() {
            continue;
        }
        if !create_source {
            let source = source.display();
            return Err(Error::Invalid(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {source}"
            )));
        }
        let what = format!(
            "error while creating mount source path '{}': mkdir",
            source.display()
        );
        fs::create_dir_all(source).map_err(Error::io(what))?;
    }
    Ok(())
}

/// What may be another container's.
struct Shared<'a> {
    /// A network namespace is handed over.
    netns: bool,
    /// Whose hostname, hosts and resolv.conf.
    etc: &'a Container,
    /// Variables that tell of links.
    linked: Vec<String>,
}

fn compile(
    engine: &Engine,
    container: &Container,
    record: &Record,
    identity: &Identity,
    shared: Shared<'_>,
) -> Result<Plan> {
    let spec = &record.spec;
    let devices = if spec.privileged {
        bundle::host_devices()
    } else {
        bundle::resolve_devices(&spec.resources.devices)?
    };
    let specification = bundle::specification(&Facts {
        record,
        etc: &shared.etc.paths,
        linked: &shared.linked,
        identity,
        host: &engine.host,
        cgroup_parent: &engine.config.cgroup_parent,
        devices,
    });
    let extras = Extras {
        id: container.id.clone(),
        bundle: String::new(),
        rootfs_fd: true,
        netns_fd: shared.netns,
        seccomp: Some(engine.seccomp.of(spec)?),
        init: spec.init,
        die_with_parent: true,
    };
    let layout = engine.host.layout.clone().unwrap_or(Layout {
        v1: Vec::new(),
        v2: None,
    });
    Plan::compile_for(&specification, extras, &layout)
        .map_err(|error| Error::Invalid(error.to_string()))
}

/// A process for an exec: the container's own, with what the exec changes.
pub(crate) fn exec_process(
    engine: &Engine,
    container: &Container,
    exec: &crate::ops::container::exec::Create,
    identity: &Identity,
) -> Result<runtime::plan::Process> {
    let now = container.now();
    let Record {
        spec, effective, ..
    } = &*now.record;
    let linked = links::variables_now(engine, &now);
    let mut env = environment(effective, exec.tty, &linked, &exec.env);
    bundle::set_home(&mut env, identity);
    let caps = if exec.privileged {
        sys::caps::ALL
    } else {
        bundle::capability_mask(spec)
    } & engine.host.capabilities;
    let or = |own: &str, other: &str| {
        if own.is_empty() {
            other.to_owned()
        } else {
            own.to_owned()
        }
    };
    Ok(runtime::plan::Process {
        args: exec.command.clone(),
        env,
        cwd: or(&or(&exec.working_dir, &effective.working_dir), "/"),
        uid: identity.uid,
        gid: identity.gid,
        additional_gids: identity.groups.clone(),
        bounding: caps,
        effective: caps,
        permitted: caps,
        ambient: 0,
        no_new_privileges: spec.security.no_new_privileges,
        seccomp: engine.seccomp.of(spec)?,
        oom_score_adj: Some(spec.oom_score_adj),
        terminal: exec.tty,
        rlimits: spec
            .resources
            .ulimits
            .iter()
            .filter_map(|limit| {
                let number =
                    sys::rlimit::by_name(&format!("RLIMIT_{}", limit.name.to_uppercase()))?;
                let value = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
                Some((number, value(limit.soft), value(limit.hard)))
            })
            .collect(),
        ..runtime::plan::Process::default()
    })
}

fn stdio(spec: &Spec) -> Stdio {
    Stdio {
        tty: spec.tty,
        open_stdin: spec.open_stdin,
        stdin_once: spec.stdin_once,
        console_size: spec.console_size,
    }
}

fn log(container: &Container, spec: &Spec) -> Option<Log> {
    match spec.log {
        LogConfig::None => None,
        LogConfig::JsonFile {
            max_size,
            max_files,
        } => Some(Log {
            path: text(&container.paths.log()),
            max_size,
            max_files: max_files.max(1),
        }),
    }
}

fn hand_over(engine: &Engine, launch: &Launch, handed: Handed<'_>) -> Result<Monitor> {
    let broken = |why| Error::Monitor {
        id: launch.id.clone(),
        why,
    };
    let bytes = postcard::to_allocvec(launch)
        .map_err(|error| broken(format!("encode the launch: {error}")))?;
    engine
        .monitors
        .hand_over(&bytes, handed)
        .map_err(Error::io("give the container to a monitor"))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
