//! The kernel out of the Debian package, its modules, and the accelerator that this machine can give it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::{fixtures, packages, shell};

/// Modules of the stock kernel that containers need; what they need in turn is found in `modules.dep`.
const MODULES: &[&str] = &[
    "overlay",
    "bridge",
    "veth",
    "nf_tables",
    "nft_chain_nat",
    "nft_masq",
    "nft_nat",
    "nft_fib_inet",
    "nft_ct",
    "nf_conntrack",
    "tun",
    "fuse",
    "dummy",
    "virtio_pci",
    "virtio_blk",
    "ext4",
];

/// Emulation: works everywhere, about ten times slower.
const EMULATION: &str = "tcg,thread=multi";

/// What the kernel is told. What it does not know it puts into the environment of the guest's init: tests that promise a
/// time ask there how much slower the machine is.
pub(super) fn command_line(accelerator: &str) -> String {
    let slower = if accelerator == EMULATION { 10 } else { 1 };
    format!("console=ttyS0 quiet panic=-1 mitigations=off CORTEN_SLOWER={slower}")
}

/// The modules, each after those that it needs.
pub(super) fn modules(kernel: &Path) -> Result<Vec<PathBuf>> {
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
pub(super) fn find() -> Result<PathBuf> {
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

/// KVM where it does work: on some machines its device is there, and a guest never gets to its kernel.
pub(super) fn accelerator(scratch: &Path, kernel: &Path) -> Result<&'static str> {
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
        .args(["--kill-after=1", "5", "qemu-system-x86_64"])
        .args(["-accel", "kvm", "-cpu", "max", "-m", "512", "-nographic"])
        .args(["-no-reboot", "-nic", "none"])
        .args(["-append", "console=ttyS0 quiet panic=-1"])
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
pub(super) fn pack(directory: &Path, archive: &Path) -> Result<()> {
    let line = format!(
        "cd {} && find . | cpio --quiet --create --format=newc > {}",
        directory.display(),
        archive.display()
    );
    shell::run(Command::new("sh").args(["-c", &line]))
}
