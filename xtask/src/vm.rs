//! A stock Debian kernel under qemu: two processors, cgroup v2, nftables. Runs test binaries and reads their counts from
//! the serial console. KVM where it works, software emulation elsewhere.
//!
//! ```text
//! kernel: out of the Debian package, with the few modules that containers need
//! initramfs (cpio): busybox, corten, the test binaries, fixtures, /init
//!   /init  copies itself to a tmpfs (the initial root cannot be pivoted away from), mounts cgroup2, loads the modules,
//!          runs each binary between two marks, switches the machine off
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::testing::{self, Binary, Count};
use crate::{fixtures, packages, shell};

/// Packages with the beginnings of their tests' names (none: all).
type Selection = &'static [(&'static str, &'static [&'static str])];

/// What runs on every change: package, and the tests whose names start with these words (none: all).
const SUBSET: Selection = &[
    ("runtime", &[]),
    ("engine", &[]),
    ("monitor", &[]),
    (
        "e2e",
        &[
            "confinement",
            "run::exit_codes",
            "run::limits",
            "run::a_memory_limit",
            "exec::it_is_confined",
            "crash::a_killed_monitor",
            "network::containers_reach",
            "runtime",
        ],
    ),
];

/// What `--all` adds.
const REST: Selection = &[
    ("sys", &[]),
    ("network", &[]),
    ("snapshots", &[]),
    ("image", &[]),
    ("e2e", &[]),
];

/// Modules of the stock kernel that containers need; what they need in turn is found in `modules.dep`.
const MODULES: &[&str] = &[
    "overlay",
    "bridge",
    "veth",
    "nf_tables",
    "nft_chain_nat",
    "nft_masq",
    "nft_ct",
    "nf_conntrack",
    "tun",
    "dummy",
];

const SECONDS: &str = "170";
const SECONDS_ALL: &str = "1500";

/// `cargo xtask vm [--all]`.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let all = match options {
        [] => false,
        ["--all"] => true,
        _ => bail!("usage: cargo xtask vm [--all]"),
    };
    packages::install()?;
    fixtures::make_all()?;
    let binaries = testing::build()?;
    let count = boot(
        &binaries,
        if all { &[SUBSET, REST] } else { &[SUBSET] },
        if all { SECONDS_ALL } else { SECONDS },
    )?;
    println!(
        "{} passed, {} failed, {} skipped",
        count.passed, count.failed, count.skipped
    );
    if count.failed > 0 {
        bail!("{} tests failed under cgroup v2", count.failed);
    }
    Ok(())
}

/// The part of `cargo xtask test`. A machine without an emulator skips it, once, and says so.
pub(crate) fn subset(binaries: &[Binary]) -> Result<Count> {
    if std::env::consts::ARCH != "x86_64" {
        println!("   skipped: the virtual machine is made for x86_64");
        return Ok(Count {
            skipped: 1,
            ..Count::default()
        });
    }
    boot(binaries, &[SUBSET], SECONDS)
}

fn boot(binaries: &[Binary], selections: &[Selection], seconds: &str) -> Result<Count> {
    let kernel = kernel()?;
    let scratch = std::env::temp_dir().join(format!("corten-vm-{}", std::process::id()));
    let result = boot_in(&scratch, &kernel, binaries, selections, seconds);
    _ = fs::remove_dir_all(&scratch);
    result
}

fn boot_in(
    scratch: &Path,
    kernel: &Path,
    binaries: &[Binary],
    selections: &[Selection],
    seconds: &str,
) -> Result<Count> {
    let payload = scratch.join("payload");
    let jobs = jobs(binaries, selections);
    fill(&payload, kernel, &jobs)?;
    let archive = scratch.join("initramfs");
    pack(&payload, &archive)?;
    let output = Command::new("timeout")
        .args([
            "--kill-after=5",
            seconds,
            "qemu-system-x86_64",
            "-accel",
            accelerator(scratch, kernel)?,
        ])
        .args([
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            "3072",
            "-nographic",
            "-no-reboot",
            "-nic",
            "none",
        ])
        .arg("-kernel")
        .arg(kernel.join("vmlinuz"))
        .arg("-initrd")
        .arg(&archive)
        .args([
            "-append",
            "console=ttyS0 quiet panic=-1 systemd.unified_cgroup_hierarchy=1",
        ])
        .stdin(Stdio::null())
        .output()
        .context("run qemu")?;
    let console = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    let count = read(&console, &jobs);
    if count.failed > 0 {
        let log = shell::cache().join("vm.log");
        fs::write(&log, &console)?;
        println!("   the console: {}", log.display());
    }
    Ok(count)
}

/// KVM where it does work: on some machines its device is there, and a guest never gets to its kernel.
fn accelerator(scratch: &Path, kernel: &Path) -> Result<&'static str> {
    const EMULATION: &str = "tcg,thread=multi";
    if !Path::new("/dev/kvm").exists() {
        return Ok(EMULATION);
    }
    let probe = scratch.join("probe");
    fs::create_dir_all(probe.join("bin"))?;
    fs::copy("/bin/busybox", probe.join("bin/busybox"))?;
    fs::write(
        probe.join("init"),
        "#!/bin/busybox sh\necho corten-guest\n/bin/busybox poweroff -f\n",
    )?;
    shell::run(Command::new("chmod").arg("+x").arg(probe.join("init")))?;
    let archive = scratch.join("probe.cpio");
    pack(&probe, &archive)?;
    let output = Command::new("timeout")
        .args([
            "--kill-after=1",
            "5",
            "qemu-system-x86_64",
            "-accel",
            "kvm",
            "-cpu",
            "max",
            "-m",
            "512",
        ])
        .args([
            "-nographic",
            "-no-reboot",
            "-nic",
            "none",
            "-append",
            "console=ttyS0 quiet panic=-1",
        ])
        .arg("-kernel")
        .arg(kernel.join("vmlinuz"))
        .arg("-initrd")
        .arg(&archive)
        .stdin(Stdio::null())
        .output()
        .context("run qemu")?;
    let works = String::from_utf8_lossy(&output.stdout).contains("corten-guest");
    Ok(if works { "kvm" } else { EMULATION })
}

/// A directory as an initial file system.
fn pack(directory: &Path, archive: &Path) -> Result<()> {
    let line = format!(
        "cd {} && find . | cpio --quiet --create --format=newc > {}",
        directory.display(),
        archive.display()
    );
    shell::run(Command::new("sh").args(["-c", &line]))
}

/// A test binary with the filters for it.
struct Job<'binary> {
    binary: &'binary Binary,
    filters: Vec<&'static str>,
}

fn jobs<'binary>(binaries: &'binary [Binary], selections: &[Selection]) -> Vec<Job<'binary>> {
    let mut jobs = Vec::new();
    for (package, filters) in selections.iter().flat_map(|selection| selection.iter()) {
        for binary in binaries.iter().filter(|binary| binary.package == *package) {
            jobs.push(Job {
                binary,
                filters: filters.to_vec(),
            });
        }
    }
    jobs
}

/// The mark before and after a binary's output.
fn mark(index: usize) -> String {
    format!("=== corten job {index}")
}

/// Sums the counts between the marks.
fn read(console: &str, jobs: &[Job<'_>]) -> Count {
    let mut total = Count::default();
    for (index, job) in jobs.iter().enumerate() {
        let title = format!("{} {}", job.binary.package, job.binary.name);
        let text = console.split(&mark(index)).nth(1).unwrap_or_default();
        let count = testing::parse(text).unwrap_or_else(|| {
            println!("   {title}: did not end");
            Count {
                failed: 1,
                ..Count::default()
            }
        });
        if count != Count::default() {
            println!(
                "   {title}: {} passed, {} failed, {} skipped",
                count.passed, count.failed, count.skipped
            );
        }
        if count.failed > 0 {
            println!("{}", testing::failures(text));
        }
        total.add(count);
    }
    total
}

/// Everything that the machine needs, as the root of its file system.
fn fill(payload: &Path, kernel: &Path, jobs: &[Job<'_>]) -> Result<()> {
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
        "lib/modules",
        "root/.cache/corten/fixtures",
        "var/tmp",
    ] {
        fs::create_dir_all(payload.join(name))?;
    }
    fs::copy("/bin/busybox", payload.join("bin/busybox")).context("copy busybox")?;
    let mut script = INIT.to_owned();
    for module in needed(kernel)? {
        let name = module.file_name().context("a module's name")?;
        fs::copy(&module, payload.join("lib/modules").join(name))?;
        writeln!(script, "insmod /lib/modules/{}", name.to_string_lossy())?;
    }
    let mut copied = BTreeSet::new();
    for (index, job) in jobs.iter().enumerate() {
        let name = job.binary.path.file_name().context("a binary's name")?;
        if copied.insert(name) {
            fs::copy(&job.binary.path, payload.join("tests").join(name))?;
        }
        let filters = job.filters.join(" ");
        writeln!(
            script,
            "echo; echo '{mark}'; /tests/{} --show-output --color=never {filters} 2>&1; echo; echo '{mark}'",
            name.to_string_lossy(),
            mark = mark(index)
        )?;
    }
    script.push_str("poweroff -f\n");
    // Beside the tests' directory, where the test kit looks for it.
    let corten = jobs.first().and_then(|job| {
        job.binary
            .path
            .parent()?
            .parent()
            .map(|directory| directory.join("corten"))
    });
    fs::copy(corten.context("nothing to run")?, payload.join("corten"))?;
    fs::copy(
        fixtures::directory().join("busybox.tar"),
        payload.join("root/.cache/corten/fixtures/busybox.tar"),
    )?;
    // Tests read their data where they were compiled.
    for data in [
        "tests/e2e/testdata",
        "crates/runtime/testdata",
        "crates/engine/testdata",
        "crates/monitor/testdata",
    ] {
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
    fs::write(payload.join("init"), script)?;
    shell::run(Command::new("chmod").arg("+x").arg(payload.join("init")))
}

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
export PATH=/bin HOME=/root RUST_BACKTRACE=1 CORTEN_BIN=/corten CORTEN_BUSYBOX=/bin/busybox CORTEN_VM=1
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp; mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo '+cpu +memory +pids +cpuset' > /sys/fs/cgroup/cgroup.subtree_control
ip link set lo up; hostname vm; dmesg -n 1
printf 'root:x:0:0:root:/root:/bin/sh\n' > /etc/passwd; printf 'root:x:0:\n' > /etc/group
";

/// The modules, each after those that it needs.
fn needed(kernel: &Path) -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string(kernel.join("modules.dep")).context("read modules.dep")?;
    let base = kernel.join("modules");
    let mut found: Vec<PathBuf> = Vec::new();
    for module in MODULES {
        let suffix = format!("/{module}.ko");
        // Built in, where no line names it.
        let Some(line) = text.lines().find(|line| {
            line.split(':')
                .next()
                .is_some_and(|path| path.ends_with(&suffix))
        }) else {
            continue;
        };
        let (own, below) = line.split_once(':').context("a line of modules.dep")?;
        for path in below.split_whitespace().rev().chain([own]) {
            let path = base.join(path);
            if !found.contains(&path) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// The kernel and its modules, out of the package; kept with the fixtures, by the package's version.
fn kernel() -> Result<PathBuf> {
    let depends = shell::quiet("apt-cache", &["depends", packages::KERNEL])?;
    let package = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .context("the kernel's meta package names no kernel")?
        .to_owned();
    let target = fixtures::directory().join(&package);
    if target.join("modules.dep").exists() {
        return Ok(target);
    }
    let building = fixtures::directory().join("kernel.tmp");
    _ = fs::remove_dir_all(&building);
    fs::create_dir_all(&building)?;
    shell::output(
        Command::new("apt-get")
            .args(["download", "--quiet", &package])
            .current_dir(&building),
    )?;
    shell::run(
        Command::new("sh")
            .args(["-c", "dpkg-deb -x *.deb tree && rm *.deb"])
            .current_dir(&building),
    )?;
    let version = package.trim_start_matches("linux-image-");
    let modules = ["tree/lib/modules", "tree/usr/lib/modules"]
        .iter()
        .map(|path| building.join(path).join(version))
        .find(|path| path.exists())
        .context("the package has no modules")?;
    let base = modules
        .ancestors()
        .nth(3)
        .context("the tree")?
        .to_path_buf();
    shell::run(
        Command::new("/sbin/depmod")
            .arg("-b")
            .arg(&base)
            .arg(version),
    )?;
    fs::rename(
        building.join(format!("tree/boot/vmlinuz-{version}")),
        building.join("vmlinuz"),
    )?;
    fs::rename(modules.join("modules.dep"), building.join("modules.dep"))?;
    fs::rename(&modules, building.join("modules"))?;
    fs::remove_dir_all(building.join("tree"))?;
    _ = fs::remove_dir_all(&target);
    fs::rename(&building, &target)?;
    Ok(target)
}
