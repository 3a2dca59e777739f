//! What the machine starts with: the root of its file system and its first program.
//!
//! Two lanes, one a processor, take the next job each until none is left. A job writes to its lane's own port, between two
//! marks, and has a limit of its own: one that hangs says what it hangs at, ends, and leaves the others' time alone.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::kernel;
use crate::testing::Binary;
use crate::{fixtures, shell};

/// Lanes, and ports beside the console.
pub(super) const LANES: usize = 2;

/// A test binary with the tests of it.
#[derive(Debug)]
pub(super) struct Job<'binary> {
    pub(super) binary: &'binary Binary,
    /// What it is called in reports.
    pub(super) title: String,
    /// Which tests, as libtest takes it; nothing: all.
    pub(super) arguments: Vec<String>,
}

/// The mark before a job's output: on a line of its own, with the guest's clock.
pub(super) const BEGIN: &str = "=== corten begin ";
/// The mark after it, with the exit status.
pub(super) const END: &str = "=== corten end ";

/// What the guest runs.
pub(super) enum Work<'run> {
    /// Jobs, each for at most so many seconds.
    Jobs(&'run [Job<'run>], u64),
    /// A script in the first lane.
    Script(&'run str),
}

/// Makes the initial file system.
pub(super) fn fill(
    payload: &Path,
    kernel: &Path,
    corten: &Path,
    work: &Work<'_>,
    data: &[&str],
) -> Result<()> {
    for name in [
        "bin",
        "proc",
        "sys",
        "dev",
        "tmp",
        "run",
        "etc",
        "new",
        "tests",
        "jobs",
        "lib/modules",
        "root/.cache/corten/fixtures",
        "var/tmp",
        "var/lib",
        "disk",
    ] {
        fs::create_dir_all(payload.join(name))?;
    }
    fs::copy("/bin/busybox", payload.join("bin/busybox")).context("copy busybox")?;
    programs(payload)?;
    let mut script = INIT.to_owned();
    script.push_str(&modules(payload, kernel)?);
    script.push_str(MACHINE);
    script.push_str(HOLD);
    match work {
        Work::Jobs(jobs, limit) => {
            place(payload, jobs)?;
            script.push_str(&lanes(jobs, *limit));
        }
        Work::Script(text) => {
            fs::write(payload.join("jobs/script"), text)?;
            script.push_str("sh /jobs/script </dev/null 2>&1 | cat >/dev/ttyS1\n");
        }
    }
    script.push_str("poweroff -f\n");
    fs::copy(corten, payload.join("corten"))?;
    fs::copy(
        fixtures::directory().join("busybox.tar"),
        payload.join("root/.cache/corten/fixtures/busybox.tar"),
    )?;
    copy_data(payload, data)?;
    finish(payload, &script)
}

/// The modules, and the lines that insert them.
pub(super) fn modules(payload: &Path, kernel: &Path) -> Result<String> {
    let mut script = String::new();
    for module in kernel::modules(kernel)? {
        let name = module.file_name().context("a module's name")?;
        fs::copy(&module, payload.join("lib/modules").join(name))?;
        writeln!(script, "insmod /lib/modules/{}", name.to_string_lossy())?;
    }
    Ok(script)
}

/// Tests read their data where they were compiled.
pub(super) fn copy_data(payload: &Path, data: &[&str]) -> Result<()> {
    for data in data {
        let source = shell::root().join(data);
        if source.is_dir() {
            let target = payload.join(source.strip_prefix("/")?);
            fs::create_dir_all(&target)?;
            shell::run(
                Command::new("cp")
                    .arg("-r")
                    .arg(source.join("."))
                    .arg(target),
            )?;
        }
    }
    Ok(())
}

/// Writes the first program.
pub(super) fn finish(payload: &Path, script: &str) -> Result<()> {
    fs::write(payload.join("init"), script)?;
    shell::run(Command::new("chmod").arg("+x").arg(payload.join("init")))
}

/// The lines that run the jobs.
pub(super) fn lanes(jobs: &[Job<'_>], limit: u64) -> String {
    let count = jobs.len();
    format!(
        "{JOBS}jobs={count} limit={limit}\n\
         for n in 1 2; do lane </dev/null 2>&1 | cat >/dev/ttyS$n & done\nwait\n"
    )
}

/// A script and a binary a job.
pub(super) fn place(payload: &Path, jobs: &[Job<'_>]) -> Result<()> {
    let mut copied = BTreeSet::new();
    for (index, job) in jobs.iter().enumerate() {
        let name = job.binary.path.file_name().context("a binary's name")?;
        if copied.insert(name) {
            fs::copy(&job.binary.path, payload.join("tests").join(name))?;
        }
        // Tests of a crate read their data below its directory.
        let directory = crate::testing::directory(job.binary);
        fs::create_dir_all(payload.join(directory.strip_prefix("/")?))?;
        let line = format!(
            "cd {}; exec $RUN /tests/{} --test-threads=1 --show-output --color=never {}\n",
            directory.display(),
            name.to_string_lossy(),
            job.arguments.join(" ")
        );
        fs::write(payload.join("jobs").join(index.to_string()), line)?;
    }
    Ok(())
}

/// What tests look with, of this machine, with the libraries that it needs.
fn programs(payload: &Path) -> Result<()> {
    let Ok(program) = fs::canonicalize("/usr/sbin/nft") else {
        return Ok(());
    };
    let libraries = shell::quiet("ldd", &[&program])?;
    let paths = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(Path::new);
    for path in paths {
        let target = payload.join(path.strip_prefix("/")?);
        fs::create_dir_all(target.parent().context("a library's directory")?)?;
        fs::copy(path, target)?;
    }
    fs::copy(&program, payload.join("bin/nft"))?;
    Ok(())
}

/// The initial root cannot be pivoted away from: copies itself to another.
const INIT: &str = r"#!/bin/busybox sh
if [ ! -e /moved ]; then
  /bin/busybox --install -s /bin
  export PATH=/bin
  mount -t tmpfs -o size=80% tmpfs /new
  mkdir /new/new /new/proc /new/sys /new/dev
  for path in /*; do case $path in /new|/proc|/sys|/dev) ;; *) cp -a $path /new/;; esac; done
  mkdir -p /new/usr; ln -s /bin /new/usr/bin; ln -s /bin /new/sbin; : > /new/moved
  exec switch_root /new /init
fi
export PATH=/bin HOME=/root RUST_BACKTRACE=1 CORTEN_BIN=/corten CORTEN_BUSYBOX=/bin/busybox
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
";

/// Mounts, names, users; a disk where there is one.
const MACHINE: &str = r"
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp; mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo '+cpu +io +memory +pids +cpuset' > /sys/fs/cgroup/cgroup.subtree_control
ip link set lo up; hostname vm; dmesg -n 1
printf 'root:x:0:0:root:/root:/bin/sh\n' > /etc/passwd; printf 'root:x:0:\n' > /etc/group
if [ -b /dev/vda ]; then
  mount -t ext4 /dev/vda /disk
  mkdir -p /disk/tmp /disk/fixtures
  mount --bind /disk/tmp /tmp
  [ -e /disk/fixtures/busybox.tar ] && mount --bind /disk/fixtures /root/.cache/corten/fixtures
fi
";

/// Holds what has the kernel change its own code when the first of a kind comes and the last one goes: hooks of netfilter,
/// groups with limits. Emulated by qemu 7.2, a processor may go on for ever at the breakpoint that such a change puts there
/// for a moment (seen in `ip6_xmit`, both of them, as tests' rules came and went).
pub(super) const HOLD: &str = r"
mkdir /sys/fs/cgroup/held; echo '100000 100000' > /sys/fs/cgroup/held/cpu.max
for hook in prerouting input forward output postrouting; do
  echo add chain inet held $hook { type filter hook $hook priority 0\; }
done > /run/held
# Nobody waits for it.
( unshare -n sh -c 'nft add table inet held; nft -f /run/held; exec sleep 1000000' >/dev/console 2>&1 & )
";

/// The lanes. A job's watchdog tells what there is before it kills.
const JOBS: &str = r"
stuck() {
  echo; echo '=== corten stuck: the processes'
  busybox ps -o pid,ppid,pgid,stat,args
  for process in /proc/[0-9]*; do
    [ -s $process/cmdline ] || continue
    for thread in $process/task/*; do
      echo ${thread#/proc/} $(cat $thread/comm) $(cat $thread/syscall) $(cat $thread/wchan)
    done
  done
}
lane() {
  n=0
  while [ $n -lt $jobs ]; do
    if mkdir /run/job.$n 2>/dev/null; then
      echo; echo === corten begin $n $(cut -d' ' -f1 /proc/uptime)
      sh /jobs/$n & job=$!
      ( sleep $limit >/dev/null 2>&1; stuck; kill -9 $job ) & watch=$!
      wait $job; status=$?
      kill $watch 2>/dev/null
      echo; echo === corten end $n $status $(cut -d' ' -f1 /proc/uptime)
    fi
    n=$((n+1))
  done
}
";
