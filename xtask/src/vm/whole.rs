//! Every test under cgroup v2: a machine with Debian on its disk, the tests' tools, fixtures and data.
//!
//! Its kernel is a stock one with all its modules, so that what the developer's own may lack runs here at least: ipvlan,
//! VLANs, dummy links, SCTP.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::guest::{self, Job};
use super::{Scratch, boot, kernel, make_disk, program};
use crate::testing::{Binary, Count};
use crate::{fixtures, shell};

/// How long a job may take, and the machine: many times what they do take on a machine with other work.
const JOB: Duration = Duration::from_mins(30);
const ALL: Duration = Duration::from_mins(150);

/// Tests of the checkout itself, which is not in the machine.
const NOT_HERE: &str = "xtask";

/// The longest ones begin first: the machine has two lanes.
const FIRST: &[&str] = &[
    "registry",
    "table",
    "scenes",
    "host_rules",
    "crash",
    "it",
    "ports",
];

/// Directories that tests read at the path where they were compiled.
const DATA: &[&str] = &["crates", "tests"];

/// Runs the jobs whose titles contain one of these names; none: all.
pub(super) fn run(binaries: &[Binary], names: &[&str]) -> Result<Count> {
    let mut jobs = jobs(binaries)?;
    jobs.retain(|job| names.is_empty() || names.iter().any(|name| job.title.contains(name)));
    let Some(first) = jobs.first() else {
        bail!("no job is called {}", names.join(" or "));
    };
    let kernel = kernel::find()?;
    let scratch = Scratch::new()?;
    let tree = scratch.0.join("tree");
    furnish(&tree, &kernel, &program(first.binary)?, &jobs)?;
    let disk = scratch.0.join("disk");
    make_disk(&disk, &tree)?;
    fs::remove_dir_all(&tree)?;
    start_with(&scratch.0.join("payload"), &kernel)?;
    boot(&scratch.0, &kernel, &jobs, Some(&disk), ALL)
}

/// A job each binary, and a job each module of `tests/e2e`.
fn jobs(binaries: &[Binary]) -> Result<Vec<Job<'_>>> {
    let mut jobs = Vec::new();
    for binary in binaries.iter().filter(|one| one.package != NOT_HERE) {
        let title = format!("{} {}", binary.package, binary.name);
        if binary.package != "e2e" || binary.unit {
            jobs.push(Job {
                binary,
                title,
                arguments: Vec::new(),
            });
            continue;
        }
        for (module, mut arguments) in modules(binary)? {
            arguments.push("--exact".to_owned());
            jobs.push(Job {
                binary,
                title: format!("{title} {module}"),
                arguments,
            });
        }
    }
    let rank = |job: &Job<'_>| {
        let place = FIRST
            .iter()
            .position(|name| job.title.ends_with(&format!(" {name}")));
        place.unwrap_or(FIRST.len())
    };
    jobs.sort_by_key(rank);
    Ok(jobs)
}

/// The tests of a binary by their outermost modules.
fn modules(binary: &Binary) -> Result<BTreeMap<String, Vec<String>>> {
    let program = binary.path.to_string_lossy();
    let list = shell::quiet(&program, &["--list", "--format=terse"])?;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in list.lines().filter_map(|line| line.strip_suffix(": test")) {
        let (module, _) = name.split_once("::").unwrap_or((name, ""));
        found
            .entry(module.to_owned())
            .or_default()
            .push(name.to_owned());
    }
    Ok(found)
}

/// Debian with the jobs and all that they need.
fn furnish(tree: &Path, kernel: &Path, corten: &Path, jobs: &[Job<'_>]) -> Result<()> {
    fs::create_dir_all(tree)?;
    let archive = fixtures::make_guest()?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--numeric-owner", "--file"])
        .arg(archive);
    shell::run(tar.arg("--directory").arg(tree))?;
    let version = kernel
        .file_name()
        .context("a kernel's name")?
        .to_string_lossy();
    let version = version.trim_start_matches("linux-image-");
    let mut modules = Command::new("cp");
    modules.arg("-r").arg(kernel.join("modules"));
    fs::create_dir_all(tree.join("usr/lib/modules"))?;
    shell::run(modules.arg(tree.join("usr/lib/modules").join(version)))?;
    for name in ["tests", "jobs", "root/.cache/corten"] {
        fs::create_dir_all(tree.join(name))?;
    }
    // Linked and not copied: they are read once.
    let place = tree.join("root/.cache/corten/fixtures");
    let copy = |how: &str| {
        let mut command = Command::new("cp");
        shell::run(command.arg(how).arg(fixtures::directory()).arg(&place))
    };
    copy("-al").or_else(|_| copy("-a"))?;
    fs::copy(corten, tree.join("corten"))?;
    guest::place(tree, jobs)?;
    guest::copy_data(tree, DATA)?;
    let lanes = guest::lanes(jobs, JOB.as_secs());
    guest::finish(
        tree,
        &format!("{MACHINE}{}{lanes}poweroff -f\n", guest::HOLD),
    )
}

/// The initial file system finds the disk and goes there.
fn start_with(payload: &Path, kernel: &Path) -> Result<()> {
    for name in ["bin", "dev", "lib/modules", "new"] {
        fs::create_dir_all(payload.join(name))?;
    }
    fs::copy("/bin/busybox", payload.join("bin/busybox")).context("copy busybox")?;
    let modules = guest::modules(payload, kernel)?;
    guest::finish(payload, &format!("{START}{modules}{GO}"))
}

const START: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
";
const GO: &str = "
mount -t ext4 /dev/vda /new
umount /dev
exec switch_root /new /init
";

/// Mounts, the machine's name, and the environment of the tests.
const MACHINE: &str = r"#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root RUST_BACKTRACE=1 LC_ALL=C.UTF-8
export CORTEN_BIN=/corten CORTEN_BUSYBOX=/bin/busybox
# Jobs run in the background, where a shell has programs ignore it. Not the shell's own env, which cannot do this.
export RUN='/usr/bin/env --default-signal=INT'
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo '+cpu +io +memory +pids +cpuset' > /sys/fs/cgroup/cgroup.subtree_control
ip link set lo up; hostname vm; dmesg -n 1
";
