//! The composition root: flags, sockets, engine, signals, in that order and in one place.
//!
//! The sockets are open before the engine is: a client that comes early waits in the queue and is answered, not refused.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use engine::Engine;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Level;

use crate::idle::Presence;
use crate::listener::{self, Address, Listener, SocketGroup};
use crate::options::{self, Command, Options};
use crate::pidfile::PidFile;
use crate::routes::Daemon;
use crate::{log, server};

/// Threads that run requests; what blocks runs elsewhere. With a second one, whoever brings news from a thread that blocked
/// wakes one of them, which wakes the other before it looks at the news.
const WORKERS: usize = 1;
/// How long requests may go on once the daemon has been told to end.
const GRACE: Duration = Duration::from_millis(500);
/// How long a daemon that is about to end may keep the data root from its successor.
const SUCCESSION: Duration = Duration::from_secs(10);

/// What surrounds the process, read by the binary's `main` alone.
#[derive(Clone, Debug, Default)]
pub struct Env {
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
}

/// The role `daemon`, also under the name `dockerd`: `args[0]` is the name. Returns the exit code.
pub fn main(args: Vec<OsString>, env: Env) -> i32 {
    let words: Vec<String> = args
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let (program, rest) = words
        .split_first()
        .map_or(("dockerd", &[][..]), |(program, rest)| {
            (program.as_str(), rest)
        });
    let program = program.rsplit('/').next().unwrap_or(program);
    let said = match options::parse(program, rest) {
        Err(why) => return complain(&why),
        Ok(Command::Help) => options::help(program),
        Ok(Command::Version) => format!("Corten version {}, build {}\n", version(), build()),
        Ok(Command::Validate) => "configuration OK\n".to_owned(),
        Ok(Command::Run(options)) => {
            return match run(&options, &env) {
                Ok(()) => 0,
                Err(why) => complain(&format!("failed to start daemon: {why:#}")),
            };
        }
    };
    // Nobody to tell if this fails.
    drop(io::stdout().write_all(said.as_bytes()));
    0
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

fn build() -> &'static str {
    option_env!("CORTEN_COMMIT").unwrap_or("unknown")
}

fn complain(why: &str) -> i32 {
    drop(writeln!(io::stderr(), "{why}"));
    1
}

fn run(options: &Options, env: &Env) -> anyhow::Result<()> {
    sys::memory::keep_small();
    sys::rlimit::raise_descriptors().context("raise the limit of descriptors")?;
    // Monitors and netd: how they end is told over their sockets.
    sys::process::disown_children().context("let go of ended children")?;
    let level = if options.debug {
        Level::DEBUG
    } else {
        log::level(&options.log_level).unwrap_or(Level::INFO)
    };
    log::begin(level);
    if std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() != 0) {
        bail!("the daemon needs to be started with root privileges");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(128)
        .thread_keep_alive(Duration::from_secs(2))
        .enable_all()
        .build()
        .context("start the async runtime")?;
    let ended = runtime.block_on(serve(options, env));
    // A thread that still waits for the kernel or a disk must not keep the process.
    runtime.shutdown_timeout(GRACE);
    ended
}

/// Everything between start and end.
async fn serve(options: &Options, env: &Env) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let _pidfile = PidFile::create(&options.pidfile)
        .with_context(|| format!("write pid file {}", options.pidfile.display()))?;
    let listeners = open_listeners(options, env).await?;
    let opened = open_engine(options, env).await;
    let engine = match opened {
        Ok(engine) => engine,
        Err(error) => {
            unlink(&listeners.open);
            return Err(error);
        }
    };
    let daemon = Arc::new(Daemon {
        engine: engine.clone(),
        debug: options.debug,
        warnings: listeners.warnings,
    });
    let presence = Presence::default();
    let mut accepting = server::accept_all(&daemon, listeners.open.clone(), &presence);
    for listener in &listeners.open {
        tracing::info!("API listen on {listener}");
    }
    tracing::info!("Daemon has completed initialization");
    let idle = async {
        match options.idle_exit {
            Some(period) => {
                presence
                    .idle_for(|| tokio::time::sleep(period), || engine.is_empty())
                    .await;
            }
            None => std::future::pending().await,
        }
    };
    let useless = tokio::select! {
        () = idle => true,
        name = signals.next() => {
            tracing::info!("Processing signal '{name}'");
            false
        }
    };
    unlink(&listeners.open);
    accepting.shutdown().await;
    if useless {
        tracing::info!("Nobody is connected and there is no container: stopping");
        server::drain(&daemon, &listeners.open, &presence).await;
    } else {
        // Containers run on; those still connected get a moment.
        drop(tokio::time::timeout(GRACE, presence.nobody()).await);
    }
    engine.close().await;
    tracing::info!("Daemon shutdown complete");
    Ok(())
}

/// Signals that end the daemon, and those that would and shall not.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listen to signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "terminated",
                _ = self.interrupt.recv() => return "interrupt",
                _ = self.hang_up.recv() => tracing::warn!("reloading the configuration is not implemented"),
            }
        }
    }
}

/// Where clients come in, and what there is to warn of.
struct Listeners {
    open: Vec<Arc<Listener>>,
    warnings: Vec<String>,
}

fn unlink(listeners: &[Arc<Listener>]) {
    for listener in listeners {
        listener.unlink();
    }
}

async fn open_listeners(options: &Options, env: &Env) -> anyhow::Result<Listeners> {
    let group = SocketGroup {
        name: options.group.clone().unwrap_or_else(|| "docker".to_owned()),
        required: options.group.is_some(),
    };
    let mut listeners = Listeners {
        open: Vec::new(),
        warnings: Vec::new(),
    };
    for host in &options.hosts {
        let opened = open_listener(host, &group, env, &mut listeners.warnings).await;
        match opened.with_context(|| format!("failed to load listeners: listen on {host}")) {
            Ok(opened) => listeners.open.extend(opened.into_iter().map(Arc::new)),
            Err(error) => {
                unlink(&listeners.open);
                return Err(error);
            }
        }
    }
    Ok(listeners)
}

async fn open_listener(
    host: &str,
    group: &SocketGroup,
    env: &Env,
    warnings: &mut Vec<String>,
) -> anyhow::Result<Vec<Listener>> {
    match host.parse::<Address>().map_err(|why| anyhow!(why))? {
        Address::Unix(path) => Ok(vec![listener::bind_unix(&path, group)?]),
        Address::Tcp(address) => {
            let warning = format!(
                "API is accessible on http://{address} without encryption. Access to the remote API is equivalent to root \
                 access on the host."
            );
            tracing::warn!("[DEPRECATION NOTICE] {warning}");
            warnings.push(format!("WARNING: {warning}"));
            Ok(vec![listener::bind_tcp(&address).await?])
        }
        Address::Fd => inherited(env),
    }
}

/// The sockets that systemd hands over, from descriptor 3 on.
fn inherited(env: &Env) -> anyhow::Result<Vec<Listener>> {
    let number = |name: &str| {
        env.variables
            .get(name)
            .and_then(|text| text.parse::<u32>().ok())
    };
    if number("LISTEN_PID") != Some(std::process::id()) {
        bail!(
            "no sockets found via socket activation: make sure the service was started by systemd"
        );
    }
    let count = number("LISTEN_FDS").unwrap_or(0);
    let take = |index: u32| {
        let descriptor = i32::try_from(3 + index)
            .ok()
            .and_then(sys::spawn::inherited);
        let descriptor =
            descriptor.ok_or_else(|| anyhow!("descriptor {} was not handed over", 3 + index))?;
        Ok(listener::adopt_unix(descriptor.into())?)
    };
    (0..count).map(take).collect()
}

/// How registries are reached.
fn registries(options: &Options, env: &Env) -> image::remote::Options {
    image::remote::Options {
        hub_mirrors: options.registry_mirrors.clone(),
        insecure: options.insecure_registries.clone(),
        realms: options.registry_token_servers.clone(),
        certs: image::remote::CERTS.map(Into::into).into(),
        user_agent: format!("corten/{}", version()),
        proxies: image::remote::Proxies::from_variables(|name| env.variables.get(name).cloned()),
        ..image::remote::Options::default()
    }
}

/// Opens the engine. One that just ends keeps the data root for a moment longer than its socket.
async fn open_engine(options: &Options, env: &Env) -> anyhow::Result<Arc<Engine>> {
    let mut config = engine::Config::for_roots(&options.data_root, &options.exec_root, version());
    if let Some(bridge) = &options.bridge {
        config.bridge.clone_from(bridge);
    }
    if let Some(bip) = &options.bip {
        config.bip = Some(
            bip.parse()
                .map_err(|_| anyhow!("invalid CIDR address: {bip}"))?,
        );
    }
    if let Some(parent) = &options.cgroup_parent {
        config.cgroup_parent.clone_from(parent);
    }
    config.mtu = options.mtu;
    config.host_firewall = options.host_firewall;
    config.host_in_hosts = options.host_in_hosts;
    config.address_pools.clone_from(&options.address_pools);
    config.registries = registries(options, env);
    config.fail_at = env.variables.get("CORTEN_FAIL_AT").cloned();
    let deadline = tokio::time::Instant::now() + SUCCESSION;
    let mut told = false;
    loop {
        match Engine::open(config.clone()).await {
            Err(error)
                if error.kind() == stdx::ErrorKind::Conflict
                    && tokio::time::Instant::now() < deadline =>
            {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!("{error}; trying again");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return Ok(opened?),
        }
    }
}
