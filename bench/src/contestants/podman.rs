//! Podman: without a daemon, and, for what is asked through an API, behind its own service.

use anyhow::{Context, Result, ensure};

use super::{Bare, Commands, Engine, Kind, Place, words};
use crate::machine::Machine;
use crate::worker::Request;

fn machine(place: &Place, private: &str) -> Result<Machine> {
    let tree = place.tree.as_ref().context("no tree of clients")?;
    ensure!(
        tree.join("usr/bin/podman").exists(),
        "the tree of clients has no podman"
    );
    Machine::chrooted(tree, &place.work.join(private), &place.work)
}

fn podman(arguments: &[&str]) -> Vec<String> {
    let options = [
        "--root",
        "/data/root",
        "--runroot",
        "/run/podman",
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "file",
    ];
    words("/usr/bin/podman", &[&options[..], arguments].concat())
}

fn parent(place: &Place) -> String {
    format!("/corten-bench-{}-podman", place.tag)
}

impl Bare {
    pub(crate) fn podman(place: &Place) -> Result<Self> {
        let mut machine = machine(place, "podman")?;
        let archive = place.archive();
        machine
            .run(&podman(&["load", "--quiet", "--input", &archive]))
            .context("load the image")?;
        let parent = parent(place);
        let (image, name) = ("localhost/busybox:latest", "bench-exec");
        let commands = Commands {
            run: podman(&["run", "--rm", "--cgroup-parent", &parent, image, "true"]),
            sleep: podman(&[
                "run",
                "--detach",
                "--name",
                name,
                "--cgroup-parent",
                &parent,
                image,
                "sleep",
                "1000000",
            ]),
            exec: podman(&["exec", name, "true"]),
            remove: podman(&["rm", "--force", "--time", "0", name]),
        };
        Self {
            name: "podman",
            machine,
            kind: Kind::Commands(Box::new(commands)),
        }
        .ready()
    }
}

impl Engine {
    /// For what is done with containers that the command line starts: those that are created through the API would have
    /// a cgroup beside everyone's.
    pub(crate) fn podman(place: &Place) -> Result<Self> {
        let socket = place.work.join("podman.sock");
        let host = format!("unix://{}", socket.display());
        let start = Request::Daemon {
            argv: podman(&["system", "service", "--time", "0", &host]),
            socket: socket.clone(),
            log: place.work.join("podman.log"),
        };
        Self {
            name: "podman",
            machine: machine(place, "podman-service")?,
            socket,
            cli: podman(&[]),
            run: words("--cgroup-parent", &[&parent(place)]),
            // The tree of clients has no aardvark, and netavark wants it for names.
            network: &["--disable-dns"],
            start,
        }
        .ready(place)
    }
}
