//! A daemon of a test's own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{self, LIMIT, Output, Running, eventually};
use crate::leaks::{self, Names};
use crate::outside::Namespace;
use crate::slots::Slot;
use crate::{fixtures, http};

/// How a daemon is started.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Further arguments of `corten daemon`.
    pub arguments: Vec<String>,
    /// Further variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Its networks get subnets of the default pools, and not of one that is this context's alone.
    pub default_pools: bool,
    /// It has a network namespace for its host, where a test may do to rules and interfaces what it likes.
    pub own_host: bool,
}

/// A daemon with everything of its own. Dropped, it is stopped, and nothing may be left.
#[derive(Debug)]
pub struct Context {
    slot: Slot,
    names: Names,
    settings: Settings,
    host: Option<Namespace>,
    daemon: Option<Child>,
}

impl Context {
    /// A running daemon without images.
    #[track_caller]
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    /// A running daemon with `busybox:latest`.
    #[track_caller]
    pub fn busybox() -> Self {
        let context = Self::new();
        context.load("busybox");
        context
    }

    /// A running daemon with settings of its own.
    #[track_caller]
    pub fn with(settings: Settings) -> Self {
        let slot = Slot::take();
        let name = format!("corten-test-{}", slot.number);
        let names = Names {
            directory: std::env::temp_dir().join(&name),
            bridge: format!("cttest{}", slot.number),
            cgroup: name,
        };
        // Left by a run that was killed: its processes have lost their daemon's root already.
        leaks::remove_network(&names);
        leaks::remove_cgroups(&names);
        _ = fs::remove_dir_all(&names.directory);
        fs::create_dir_all(names.directory.join("docker")).expect("create the context's directory");
        let host = settings
            .own_host
            .then(|| Namespace::add(&format!("corten-host-{}", slot.number)));
        let mut context = Self {
            slot,
            names,
            settings,
            host,
            daemon: None,
        };
        context.start_daemon();
        context
    }

    /// The directory in which everything of the context stands.
    pub fn directory(&self) -> &Path {
        &self.names.directory
    }

    /// The names under which its things are found.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// A subnet that is this context's alone, with this third number: its networks' own come from 0 on.
    pub fn subnet(&self, third: u8, prefix: u8) -> String {
        format!("10.{}.{third}.0/{prefix}", 100 + self.slot.number)
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.names.directory.join("corten.sock")
    }

    /// The daemon's own log.
    pub fn daemon_log(&self) -> String {
        fs::read_to_string(self.names.directory.join("daemon.log")).unwrap_or_default()
    }

    /// The daemon's process id.
    #[track_caller]
    pub fn daemon_pid(&self) -> u32 {
        self.daemon.as_ref().expect("the daemon runs").id()
    }

    /// Further variables for the next daemon.
    pub fn set_environment(&mut self, environment: &[(&str, &str)]) {
        self.settings.environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
    }

    /// Starts the daemon and waits until it answers; returns how long that took.
    #[track_caller]
    pub fn start_daemon(&mut self) -> Duration {
        let directory = &self.names.directory;
        let log = File::options()
            .create(true)
            .append(true)
            .open(directory.join("daemon.log"))
            .expect("open the log");
        let mut arguments = self.settings.arguments.clone();
        let chosen = |word: &String| word == "--default-address-pool";
        if !self.settings.default_pools && !arguments.iter().any(chosen) {
            // Two daemons that choose at one moment would choose the same subnet.
            arguments.push("--default-address-pool".to_owned());
            arguments.push(format!("base={},size=24", self.subnet(0, 16)));
        }
        let start = Instant::now();
        let mut command = self.on_host(&fixtures::corten().to_string_lossy());
        command.arg("daemon");
        let child = command
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()))
            .arg("--data-root")
            .arg(directory.join("data"))
            .arg("--exec-root")
            .arg(directory.join("run"))
            .arg("--pidfile")
            .arg(directory.join("corten.pid"))
            .args(["--bridge", &self.names.bridge])
            .args(["--bip", &format!("10.219.{}.1/24", self.slot.number)])
            .args(["--cgroup-parent", &format!("/{}", self.names.cgroup)])
            .args(arguments)
            .envs(
                self.settings
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log's second descriptor"))
            .stderr(log)
            .spawn()
            .expect("start the daemon");
        self.daemon = Some(child);
        let answers = eventually(Duration::from_secs(10), || {
            let ended = self
                .daemon
                .as_mut()
                .is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
            ended
                || self
                    .request("GET", "/_ping", None)
                    .is_ok_and(|answer| answer.status == 200)
        });
        let ended = self
            .daemon
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
        assert!(
            answers && !ended,
            "the daemon does not answer:\n{}",
            self.daemon_log()
        );
        start.elapsed()
    }

    /// A command on the daemon's host: in its network namespace, where it has one of its own.
    pub fn on_host(&self, program: &str) -> Command {
        match &self.host {
            Some(host) => host.command(program),
            None => Command::new(program),
        }
    }

    /// Kills the daemon without warning.
    pub fn kill_daemon(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            _ = child.kill();
            _ = child.wait();
        }
    }

    /// Waits until the daemon has ended by itself.
    #[track_caller]
    pub fn wait_daemon(&mut self, limit: Duration) {
        let mut child = self.daemon.take().expect("the daemon runs");
        let ended = eventually(limit, || matches!(child.try_wait(), Ok(Some(_))));
        if !ended {
            _ = child.kill();
            _ = child.wait();
        }
        assert!(ended, "the daemon has not ended");
    }

    /// Asks the daemon to stop, and waits for it.
    pub fn stop_daemon(&mut self) {
        let Some(mut child) = self.daemon.take() else {
            return;
        };
        command::signal(child.id(), "TERM");
        if !eventually(Duration::from_secs(20), || {
            matches!(child.try_wait(), Ok(Some(_)))
        }) {
            _ = child.kill();
            _ = child.wait();
        }
    }

    /// A request to the daemon, as any client might send it.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<http::Answer> {
        http::request(&self.socket(), method, path, body)
    }

    /// Runs our command line.
    #[track_caller]
    pub fn corten(&self, arguments: &[&str]) -> Output {
        command::run(&mut self.corten_command(arguments))
    }

    /// Runs our command line with an input.
    #[track_caller]
    pub fn corten_with(&self, arguments: &[&str], stdin: &[u8]) -> Output {
        command::run_with(&mut self.corten_command(arguments), stdin, LIMIT)
    }

    /// Starts our command line and does not wait.
    #[track_caller]
    pub fn corten_start(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.corten_command(arguments), b"")
    }

    /// Our command line, aimed at the daemon.
    pub fn corten_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(fixtures::corten());
        self.aim(&mut command).args(arguments);
        command
    }

    /// The real docker command line, aimed at the daemon.
    #[track_caller]
    pub fn docker_command(&self, arguments: &[&str]) -> Command {
        let mut command =
            fixtures::docker().expect("a docker command line: run cargo xtask fixtures");
        self.aim(&mut command).args(arguments);
        command
    }

    /// Runs the real docker command line.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> Output {
        command::run(&mut self.docker_command(arguments))
    }

    fn aim<'command>(&self, command: &'command mut Command) -> &'command mut Command {
        command
            .env_remove("CORTEN_HOST")
            .env_remove("DOCKER_CONTEXT")
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("DOCKER_CONFIG", self.names.directory.join("docker"))
            .env("TZ", "UTC")
    }

    /// Starts a container of busybox that does nothing.
    #[track_caller]
    pub fn sleeper(&self, name: &str, options: &[&str]) {
        let run = ["run", "-d", "--name", name];
        let program = ["busybox", "sleep", "1000"];
        self.corten(&[&run[..], options, &program].concat()).ok();
    }

    /// Loads a fixture: `busybox`, `debian-bookworm`, `layered`, `services`.
    #[track_caller]
    pub fn load(&self, fixture: &str) {
        let path = fixtures::image(fixture);
        self.corten(&["load", "--quiet", "--input", &path.to_string_lossy()])
            .ok();
    }

    /// The value of a Go template over `inspect`.
    #[track_caller]
    pub fn inspect(&self, container: &str, template: &str) -> String {
        self.corten(&["inspect", "--format", template, container])
            .ok()
            .to_owned()
    }

    /// The port of the host under which a container's is published (`80`, `7/udp`).
    #[track_caller]
    pub fn port(&self, container: &str, inside: &str) -> u16 {
        let shown = self.corten(&["port", container, inside]);
        let line = shown.ok().lines().next().unwrap_or_default();
        let (_, port) = line.rsplit_once(':').expect("a port");
        port.parse().expect("a number")
    }

    /// Removes every container and asserts that nothing of them is left.
    pub fn assert_no_containers_left(&self) {
        self.remove_containers();
        let left = leaks::settle(Duration::from_secs(30), || self.left());
        assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
    }

    fn left(&self) -> Vec<String> {
        let mut left = leaks::of_containers(&self.names);
        if let Some(daemon) = &self.daemon {
            left.extend(leaks::zombies(daemon.id()));
        }
        left
    }

    fn remove_containers(&self) {
        let Ok(answer) = self.request("GET", "/containers/json?all=1", None) else {
            return;
        };
        for container in answer.json().as_array().into_iter().flatten() {
            let id = container["Id"].as_str().unwrap_or_default();
            _ = self.request("DELETE", &format!("/containers/{id}?force=1&v=1"), None);
        }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.daemon.is_some() {
            self.remove_containers();
            // A test that speaks of something else need not remove its networks; what is left of them is looked for.
            _ = self.request("POST", "/networks/prune", None);
        }
        // A container's end is answered before the last of it is gone: the daemon has a second for that.
        let mut left = leaks::settle(Duration::from_secs(30), || self.left());
        self.stop_daemon();
        left.extend(leaks::settle(Duration::from_secs(30), || {
            leaks::of_daemon(&self.names)
        }));
        left.dedup();
        let log = self.daemon_log();
        // Whatever a failed test has left must not stay on the machine.
        for line in left.iter().filter_map(|line| line.strip_prefix("process ")) {
            if let Some(pid) = line.split(' ').next().and_then(|pid| pid.parse().ok()) {
                command::signal(pid, "KILL");
            }
        }
        leaks::remove_network(&self.names);
        leaks::remove_cgroups(&self.names);
        _ = fs::remove_dir_all(&self.names.directory);
        if std::thread::panicking() {
            println!("the daemon's log:\n{log}");
        } else {
            assert!(
                left.is_empty(),
                "left behind:\n{}\nthe daemon's log:\n{log}",
                left.join("\n")
            );
        }
    }
}
