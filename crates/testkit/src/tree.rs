//! Real engines with the tree of clients as their root: dockerd, podman.
//!
//! Each runs in mount, network and process namespaces of its own; its root is an overlay on the tree, thrown away with
//! them. Only the directory of files is the caller's too.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::command::{self, Output, eventually};
use crate::{fixtures, http, leaks};

/// In the namespaces: what a program needs around it. `$1` is the scratch directory, `$2` the tree, then the program.
const ENTER: &str = r#"
set -eu
mount -t tmpfs none "$1/mounts"; mkdir "$1/mounts/upper" "$1/mounts/work" "$1/mounts/root"
root=$1/mounts/root
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/mounts/upper,workdir=$1/mounts/work" "$root"
mkdir -p "$root/mnt/files" "$root/run" "$root/var/tmp" "$root/tmp"
mount --bind "$1/files" "$root/mnt/files"
mount -t proc proc "$root/proc"; mount -t sysfs sys "$root/sys"; mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"; mount -t tmpfs run "$root/run"
mount --bind "$1/tmp" "$root/tmp"
ip link set lo up
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
# Not chroot: exec would enter the root of the mount namespace, which has to be the tree then.
cd "$root"; mkdir -p old; pivot_root . old
cd /; busybox umount -l /old
shift 2
exec "$@"
"#;

/// Where a program finds the directory of files.
pub const FILES: &str = "/mnt/files";

/// A scratch directory for programs in the tree.
#[derive(Debug)]
pub struct Tree {
    scratch: PathBuf,
}

impl Tree {
    /// Makes the directory.
    pub fn new(scratch: &Path) -> Result<Self> {
        for name in ["mounts", "files", "tmp"] {
            fs::create_dir_all(scratch.join(name))?;
        }
        Ok(Self {
            scratch: scratch.to_owned(),
        })
    }

    /// The directory that programs see as [`FILES`].
    pub fn files(&self) -> PathBuf {
        self.scratch.join("files")
    }

    /// A program of the tree, with the tree as its root. Whatever it starts ends with it.
    pub fn command(&self, program: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child"])
            .args(["--propagation", "private", "sh", "-c", ENTER, "sh"])
            .arg(&self.scratch)
            .arg(fixtures::directory().join("clients"))
            .args(program);
        command
    }

    /// Runs podman, which keeps its images below the directory of files.
    #[track_caller]
    pub fn podman(&self, arguments: &[&str]) -> Output {
        let program = ["podman", "--storage-driver", "vfs", "--root"];
        let root = format!("{FILES}/podman");
        let words: Vec<&str> = program
            .into_iter()
            .chain([root.as_str()])
            .chain(arguments.iter().copied())
            .collect();
        command::run(
            self.command(&words)
                .env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1"),
        )
    }
}

/// A dockerd; dropped, it and all its processes are gone.
#[derive(Debug)]
pub struct Dockerd {
    tree: Tree,
    cgroup: String,
    child: Child,
}

impl Dockerd {
    /// Starts it, with its containers' cgroups below one of its own; `log` is where its own words go.
    pub fn start(scratch: &Path, cgroup: &str, log: &Path, arguments: &[&str]) -> Result<Self> {
        let tree = Tree::new(scratch)?;
        for name in ["data", "config"] {
            fs::create_dir_all(tree.files().join(name))?;
        }
        let (host, data) = (
            format!("unix://{FILES}/docker.sock"),
            format!("{FILES}/data"),
        );
        let parent = format!("/{cgroup}");
        let mut program = vec![
            "dockerd",
            "--host",
            &host,
            "--data-root",
            &data,
            "--exec-root",
            "/run/docker",
            "--pidfile",
            "/run/docker.pid",
            "--cgroup-parent",
            &parent,
            "--exec-opt",
            "native.cgroupdriver=cgroupfs",
        ];
        program.extend(arguments);
        let file = File::create(log)?;
        let child = tree
            .command(&program)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("run unshare")?;
        let mut dockerd = Self {
            tree,
            cgroup: cgroup.to_owned(),
            child,
        };
        let socket = dockerd.socket();
        let up = eventually(Duration::from_mins(1), || {
            matches!(dockerd.child.try_wait(), Ok(Some(_)))
                || http::request(&socket, "GET", "/_ping", None).is_ok()
        });
        if !up || dockerd.child.try_wait()?.is_some() {
            bail!("dockerd does not start: see {}", log.display());
        }
        Ok(dockerd)
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.tree.files().join("docker.sock")
    }

    /// Runs the docker command line against it.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> Output {
        let mut docker = fixtures::docker().expect("the fixture has a docker");
        docker
            .args(arguments)
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("DOCKER_CONFIG", self.tree.files().join("config"))
            .env("TZ", "UTC");
        command::run(&mut docker)
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        command::signal(self.child.id(), "KILL");
        _ = self.child.wait();
        let names = leaks::Names {
            directory: self.tree.scratch.clone(),
            bridge: String::new(),
            cgroup: self.cgroup.clone(),
        };
        eventually(Duration::from_secs(5), || {
            leaks::remove_cgroups(&names);
            fs::remove_dir_all(&self.tree.scratch).is_ok()
        });
    }
}
