//! The engine: its parts, and how they are opened.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use content::Content;
use image::Images;
use image::remote::Remote;
use network::{Keeper, Names, Networks, Ports};
use snapshots::Snapshots;
use tokio::sync::Notify;

use crate::blocking::{Class, blocking};
use crate::container::registry::Containers;
use crate::events::Events;
use crate::host::Host;
use crate::monitors::Monitors;
use crate::ops::container::exec::Execs;
use crate::pools::Pools;
use crate::seccomp_filters::Filters as SeccompFilters;
use crate::{Config, Error, Result, background, cgroups, ground, recover, steps};

/// The engine: a struct of parts. Operations are free functions in [`crate::ops`].
#[derive(Debug)]
pub struct Engine {
    /// What it was opened with.
    pub config: Config,
    /// What happens.
    pub events: Events,
    /// Stable name of this data root.
    pub id: String,
    /// The host.
    pub host: Host,
    /// When it was opened.
    pub opened_at: SystemTime,
    /// The containers.
    pub containers: Containers,
    pub(crate) images: Arc<Images>,
    pub(crate) snapshots: Arc<Snapshots>,
    /// Opened when a registry is first needed.
    remote: Mutex<Option<Arc<Remote>>>,
    /// The networks.
    pub networks: Networks,
    /// Published ports.
    pub(crate) ports: Ports,
    /// What containers are called.
    pub(crate) names: Names,
    pub(crate) keeper: Keeper,
    /// Told when netd may have been started.
    pub(crate) netd: Arc<Notify>,
    pub(crate) execs: Execs,
    pub(crate) executable: OwnedFd,
    pub(crate) seccomp: SeccompFilters,
    pub(crate) monitors: Monitors,
    pub(crate) pools: Arc<Pools>,
    pub(crate) warnings: Vec<String>,
    pub(crate) tidy: Arc<Notify>,
    _lock: store::Lock,
}

impl Engine {
    /// Opens an engine: takes its data root's lock, finds what ran before, sweeps what was left behind.
    pub async fn open(config: Config) -> Result<Arc<Self>> {
        if let Some(step) = &config.fail_at {
            steps::arm(step);
        }
        let (engine, found) =
            blocking("open the engine", Class::Disk, move || open(config)).await?;
        let engine = Arc::new(engine);
        recover::recover(&engine, found).await?;
        background::begin(&engine);
        Ok(engine)
    }

    /// Registries; what they need is read when the first one is asked.
    pub(crate) async fn remote(self: &Arc<Self>) -> Result<Arc<Remote>> {
        let engine = self.clone();
        blocking("open the registries' client", Class::Disk, move || {
            let mut remote = engine.remote.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(remote) = &*remote {
                return Ok(remote.clone());
            }
            let opened = Remote::new(engine.images.clone(), engine.config.registries.clone())?;
            Ok(remote.insert(Arc::new(opened)).clone())
        })
        .await
    }

    /// No container in any state: an engine that started by itself may go away.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }

    /// Ends what runs in the background (not the containers) before the process ends.
    pub async fn close(self: &Arc<Self>) {
        let engine = self.clone();
        blocking("tidy up", Class::Disk, move || {
            background::tidy(&engine);
            engine.monitors.close();
            cgroups::leave(&engine.host, &engine.config.cgroup_parent);
        })
        .await;
    }
}

fn open(config: Config) -> Result<(Engine, recover::Found)> {
    for directory in ["containers", "quarantine"] {
        store::create_dir_all(&config.data_root.join(directory))?;
    }
    store::create_dir_all(&config.exec_root.join("containers"))?;
    let lock = store::Lock::acquire(&config.data_root.join("lock"))?;
    store::check_format(&config.data_root)?;
    ground::make(&ground::directory(&config))
        .map_err(Error::io("make the mount points of containers"))?;
    let host = Host::look()?;
    let content =
        Arc::new(Content::open(&config.data_root).map_err(|error| opening("content", &error))?);
    let snapshots = Arc::new(Snapshots::open(&config.data_root)?);
    let images = Arc::new(Images::open(&config.data_root, content, snapshots.clone())?);
    let found = recover::find(&config)?;
    let mut warnings = found.warnings.clone();
    for (path, why) in snapshots.quarantined().iter().chain(images.quarantined()) {
        warnings.push(format!(
            "a damaged record was put aside: {}: {why}",
            path.display()
        ));
    }
    let settings = network::Config {
        dir: config.data_root.join("networks"),
        quarantine: config.data_root.join("quarantine"),
        bridge: config.bridge.clone(),
        bip: config.bip,
        mtu: config.mtu,
        pools: config.address_pools.clone(),
        relayed: config.host_firewall,
    };
    let (networks, more) = Networks::open(settings, &found.endpoints())?;
    warnings.extend(more);
    let (monitor_groups, more) = cgroups::open_monitors(&host, &config.cgroup_parent);
    let monitor_groups = Arc::new(monitor_groups);
    warnings.extend(more);
    warnings.extend(crate::ops::system::lacking(&host));
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let executable = sys::memfd::own_executable()
        .map_err(Error::io("copy the engine's program to a memory file"))?;
    let program = || {
        let again = executable.try_clone();
        again.map_err(Error::io("duplicate the engine's program"))
    };
    let keeper = Keeper::new(config.exec_root.clone(), program()?, monitor_groups.clone());
    let monitors = Monitors::new(program()?, monitor_groups);
    let engine = Engine {
        id: stable_id(&config)?,
        seccomp: SeccompFilters::new(&host),
        executable,
        opened_at: SystemTime::now(),
        events: Events::default(),
        containers: Containers::default(),
        execs: Execs::default(),
        tidy: Arc::default(),
        images,
        snapshots,
        remote: Mutex::default(),
        networks,
        ports: Ports::open(&format!("{}-ports", config.bridge), config.host_firewall),
        names: Names::default(),
        keeper,
        netd: Arc::default(),
        monitors,
        pools: Arc::default(),
        warnings,
        host,
        config,
        _lock: lock,
    };
    Ok((engine, found))
}

fn opening(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::Broken {
        what: format!("open {what}"),
        why: error.to_string(),
    }
}

/// A name of this data root that stays.
fn stable_id(config: &Config) -> Result<String> {
    let path = config.data_root.join("engine-id");
    if let Ok(id) = std::fs::read_to_string(&path)
        && !id.trim().is_empty()
    {
        return Ok(id.trim().to_owned());
    }
    let hex = stdx::id::random_hex();
    let id = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..32],
    ]
    .join("-");
    store::write_atomic(&path, format!("{id}\n").as_bytes(), true)?;
    Ok(id)
}
