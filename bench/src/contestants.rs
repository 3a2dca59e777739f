//! Who is measured: Corten, the peers of the tree of clients, and the floor.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::IMAGE;
use crate::machine::Machine;
use crate::worker::Request;

mod podman;

/// Where everything of one bench run lives.
#[derive(Debug)]
pub(crate) struct Place {
    /// A directory of this run alone.
    pub(crate) work: PathBuf,
    /// The tree of clients, when there is one.
    pub(crate) tree: Option<PathBuf>,
    /// The corten binary.
    pub(crate) corten: PathBuf,
    /// Part of the name of every cgroup and bridge, so that two runs never meet.
    pub(crate) tag: String,
}

impl Place {
    fn text(&self, name: &str) -> String {
        self.work.join(name).to_string_lossy().into_owned()
    }

    fn archive(&self) -> String {
        self.text("image.tar")
    }

    /// A container's root directory with busybox, as a directory and as an image archive.
    pub(crate) fn make_image(&self) -> Result<()> {
        let rootfs = self.work.join("rootfs");
        let layer = self.work.join("layer");
        for part in ["bin", "proc", "dev", "sys", "tmp", "etc", "run"] {
            fs::create_dir_all(rootfs.join(part))?;
        }
        let inside_tree = self.tree.as_ref().map(|tree| tree.join("usr/bin/busybox"));
        let found = [PathBuf::from("/bin/busybox")]
            .into_iter()
            .chain(inside_tree)
            .find(|path| path.exists());
        fs::copy(
            found.context("no busybox here or in the tree of clients")?,
            rootfs.join("bin/busybox"),
        )?;
        for applet in ["sh", "true", "sleep", "echo", "cat"] {
            std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(applet))?;
        }
        fs::create_dir_all(&layer)?;
        shell(&[
            "tar",
            "--create",
            "--owner=0",
            "--group=0",
            "--file",
            &self.text("layer/layer.tar"),
            "--directory",
            &self.text("rootfs"),
            ".",
        ])?;
        let sum = output(&["sha256sum", &self.text("layer/layer.tar")])?;
        let digest = sum.split_whitespace().next().context("no digest")?;
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": { "Env": ["PATH=/bin"], "Cmd": ["sh"] },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
            "history": [{ "created": "2026-01-01T00:00:00Z" }],
        });
        let manifest =
            json!([{ "Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"] }]);
        fs::write(layer.join("config.json"), config.to_string())?;
        fs::write(layer.join("manifest.json"), manifest.to_string())?;
        shell(&[
            "tar",
            "--create",
            "--file",
            &self.archive(),
            "--directory",
            &self.text("layer"),
            "config.json",
            "layer.tar",
            "manifest.json",
        ])
    }
}

pub(crate) fn shell(argv: &[&str]) -> Result<()> {
    output(argv).map(drop)
}

pub(crate) fn output(argv: &[&str]) -> Result<String> {
    let output = Command::new(argv[0])
        .args(&argv[1..])
        .output()
        .with_context(|| argv.join(" "))?;
    ensure!(
        output.status.success(),
        "{}: {}",
        argv.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// How an engine with a daemon and an API is driven.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) machine: Machine,
    pub(crate) socket: PathBuf,
    /// The command line up to the verb.
    pub(crate) cli: Vec<String>,
    /// What follows the verb `run`.
    run: Vec<String>,
    /// What follows `network create`.
    pub(crate) network: &'static [&'static str],
    start: Request,
}

impl Engine {
    pub(crate) fn corten(place: &Place) -> Result<Self> {
        ensure!(
            place.corten.exists(),
            "{} does not exist",
            place.corten.display()
        );
        let private = place.work.join("corten");
        fs::create_dir_all(&private)?;
        let socket = private.join("corten.sock");
        let host = format!("unix://{}", socket.display());
        let program = place.corten.to_string_lossy().into_owned();
        let argv = words(
            &program,
            &[
                "daemon",
                "--host",
                &host,
                "--data-root",
                &place.text("corten/data"),
                "--exec-root",
                &place.text("corten/exec"),
                "--pidfile",
                &place.text("corten/pid"),
                "--bridge",
                &format!("cb-{}", place.tag),
                "--bip",
                "172.30.0.1/16",
                "--cgroup-parent",
                &format!("/corten-bench-{}-corten", place.tag),
            ],
        );
        let start = Request::Daemon {
            argv,
            socket: socket.clone(),
            log: private.join("log"),
        };
        let cli = words(&program, &["--host", &host]);
        Self {
            name: "corten",
            machine: Machine::plain()?,
            socket,
            cli,
            run: Vec::new(),
            network: &[],
            start,
        }
        .ready(place)
    }

    pub(crate) fn docker(place: &Place) -> Result<Self> {
        let tree = place.tree.as_ref().context("no tree of clients")?;
        ensure!(
            tree.join("usr/sbin/dockerd").exists(),
            "the tree of clients has no dockerd"
        );
        let machine = Machine::chrooted(tree, &place.work.join("docker"), &place.work)?;
        let socket = place.work.join("docker.sock");
        let host = format!("unix://{}", socket.display());
        let argv = words(
            "/usr/sbin/dockerd",
            &[
                "--host",
                &host,
                "--data-root",
                "/data",
                "--exec-root",
                "/run/docker",
                "--pidfile",
                "/run/docker.pid",
                "--cgroup-parent",
                &format!("/corten-bench-{}-docker", place.tag),
                "--log-level",
                "warn",
            ],
        );
        let start = Request::Daemon {
            argv,
            socket: socket.clone(),
            log: place.work.join("docker.log"),
        };
        let cli = words("/usr/bin/docker", &["--host", &host]);
        Self {
            name: "docker",
            machine,
            socket,
            cli,
            run: Vec::new(),
            network: &[],
            start,
        }
        .ready(place)
    }

    fn ready(mut self, place: &Place) -> Result<Self> {
        self.restart()?;
        self.verb(&["load", "--quiet", "--input", &place.archive()])
            .context("load the image")?;
        self.verb(&["run", "--rm", IMAGE, "true"])
            .context("the first container")?;
        Ok(self)
    }

    /// Stops the daemon when it runs, starts it, and returns the milliseconds to its first answer.
    pub(crate) fn restart(&mut self) -> Result<f64> {
        self.machine.ask(&Request::Stop)?;
        self.machine
            .ask(&self.start)?
            .first()
            .copied()
            .context("no time")
    }

    /// Runs one command of the engine's own command line; milliseconds.
    pub(crate) fn verb(&mut self, arguments: &[&str]) -> Result<f64> {
        let mut argv = self.cli.clone();
        let (verb, rest) = arguments.split_first().context("no verb")?;
        argv.push((*verb).to_owned());
        if *verb == "run" {
            argv.extend_from_slice(&self.run);
        }
        argv.extend(rest.iter().map(|word| (*word).to_owned()));
        self.machine.run(&argv)
    }

    /// Removes every container.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.machine
            .ask(&Request::Clear {
                socket: self.socket.clone(),
            })
            .map(drop)
    }
}

/// A peer without a daemon, or the floor: one command a run.
#[derive(Debug)]
pub(crate) struct Bare {
    pub(crate) name: &'static str,
    machine: Machine,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Floor { rootfs: PathBuf, scratch: PathBuf },
    Commands(Box<Commands>),
}

/// The command lines of a peer.
#[derive(Debug)]
struct Commands {
    /// One container from start to end.
    run: Vec<String>,
    /// A container that sleeps.
    sleep: Vec<String>,
    /// One program more in that.
    exec: Vec<String>,
    /// The end of it.
    remove: Vec<String>,
}

impl Bare {
    pub(crate) fn floor(place: &Place) -> Result<Self> {
        let kind = Kind::Floor {
            rootfs: place.work.join("rootfs"),
            scratch: place.work.join("floor"),
        };
        Self {
            name: "floor",
            machine: Machine::plain()?,
            kind,
        }
        .ready()
    }

    /// `crun` or `runc` with a bundle that was prepared: no image, no storage, no network.
    pub(crate) fn runtime(place: &Place, name: &'static str) -> Result<Self> {
        let tree = place.tree.as_ref().context("no tree of clients")?;
        let program = match name {
            "crun" => "/usr/bin/crun",
            _ => "/usr/sbin/runc",
        };
        ensure!(
            tree.join(&program[1..]).exists(),
            "the tree of clients has no {name}"
        );
        let mut machine = Machine::chrooted(tree, &place.work.join(name), &place.work)?;
        let mut bundle = |command: &[&str]| -> Result<String> {
            let bundle = place.work.join(format!("bundle-{name}-{}", command[0]));
            fs::create_dir_all(&bundle)?;
            let text = bundle.to_string_lossy().into_owned();
            machine
                .run(&words("/usr/sbin/runc", &["spec", "--bundle", &text]))
                .context("make a config.json")?;
            prepare_bundle(place, &bundle, name, command)?;
            Ok(text)
        };
        let (once, sleeping) = (bundle(&["true"])?, bundle(&["sleep", "1000000"])?);
        let id = format!("corten-bench-{}", place.tag);
        let sleeper = format!("{id}-sleep");
        let commands = Commands {
            run: words(program, &["run", "--bundle", &once, &id]),
            sleep: words(
                program,
                &["run", "--detach", "--bundle", &sleeping, &sleeper],
            ),
            exec: words(program, &["exec", &sleeper, "true"]),
            remove: words(program, &["delete", "--force", &sleeper]),
        };
        Self {
            name,
            machine,
            kind: Kind::Commands(Box::new(commands)),
        }
        .ready()
    }

    fn ready(mut self) -> Result<Self> {
        self.run().context("the first run")?;
        Ok(self)
    }

    /// One container from start to end; milliseconds.
    pub(crate) fn run(&mut self) -> Result<f64> {
        match &self.kind {
            Kind::Floor { rootfs, scratch } => {
                let request = Request::Floor {
                    rootfs: rootfs.clone(),
                    scratch: scratch.clone(),
                };
                self.machine
                    .ask(&request)?
                    .first()
                    .copied()
                    .context("no time")
            }
            Kind::Commands(commands) => self.machine.run(&commands.run),
        }
    }

    /// Starts the container that `exec` enters. The floor has none.
    pub(crate) fn sleep(&mut self) -> Result<bool> {
        let Kind::Commands(commands) = &self.kind else {
            return Ok(false);
        };
        self.machine.run(&commands.sleep).map(|_| true)
    }

    /// One program in the sleeping container; milliseconds.
    pub(crate) fn exec(&mut self) -> Result<f64> {
        let Kind::Commands(commands) = &self.kind else {
            bail!("the floor executes nothing")
        };
        self.machine.run(&commands.exec)
    }

    /// Ends the sleeping container.
    pub(crate) fn remove(&mut self) -> Result<()> {
        let Kind::Commands(commands) = &self.kind else {
            return Ok(());
        };
        self.machine.run(&commands.remove).map(drop)
    }
}

/// Changes the default bundle to run a command in our root directory and cgroup.
fn prepare_bundle(place: &Place, bundle: &Path, name: &str, command: &[&str]) -> Result<()> {
    let path = bundle.join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    config["process"]["args"] = json!(command);
    config["process"]["terminal"] = json!(false);
    config["process"]["env"] = json!(["PATH=/bin"]);
    config["root"] = json!({ "path": place.text("rootfs"), "readonly": true });
    config["linux"]["cgroupsPath"] =
        json!(format!("/corten-bench-{}-{name}/{}", place.tag, command[0]));
    fs::write(path, config.to_string())?;
    Ok(())
}

pub(crate) fn words(program: &str, arguments: &[&str]) -> Vec<String> {
    std::iter::once(program)
        .chain(arguments.iter().copied())
        .map(str::to_owned)
        .collect()
}
