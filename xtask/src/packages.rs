//! The Debian packages that the tests need: the only place that names them.

use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// On the machine that runs the tests.
const HOST: &[&str] = &[
    "busybox-static",
    "cpio",
    "iptables",
    "iproute2",
    "kmod",
    "mmdebstrap",
    "nftables",
    "openssh-client",
    "procps",
    "qemu-system-x86",
    "xz-utils",
    "zstd",
];

/// Beside the kernel in the virtual machine that runs every test, from Debian bookworm: what the tests look with.
pub(crate) const GUEST: &[&str] = &[
    "busybox-static",
    "iproute2",
    "iptables",
    "kmod",
    "nftables",
    "openssh-client",
    "procps",
    "xz-utils",
    "zstd",
];

/// In the tree of real clients, from Debian sid.
pub(crate) const CLIENTS: &[&str] = &[
    "busybox-static",
    "ca-certificates",
    "crun",
    "docker-buildx",
    "docker-cli",
    "docker-compose",
    "docker-registry",
    "docker.io",
    "iproute2",
    "iptables",
    "nftables",
    "podman",
    "procps",
    "runc",
    "skopeo",
];

/// In the image of real programs, from Debian bookworm.
pub(crate) const SERVICES: &[&str] = &[
    "busybox",
    "curl",
    "firewalld",
    "iputils-ping",
    "netcat-openbsd",
    "nginx-light",
    "openssh-server",
    "postgresql",
    "ufw",
];

/// In the tree that compiles for aarch64, from Debian sid.
pub(crate) const CROSS: &[&str] = &[
    "gcc",
    "gcc-aarch64-linux-gnu",
    "libc6-dev",
    "libc6-dev-arm64-cross",
    "libstd-rust-dev:arm64",
    "qemu-user",
    "rustc",
];

/// The kernel of the virtual machine; the meta package depends on the one with the image.
pub(crate) const KERNEL: &str = "linux-image-cloud-amd64";

/// Installs the packages that are missing. Does nothing, not even a network request, when none is.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&str> = HOST
        .iter()
        .copied()
        .filter(|name| !installed(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {}", missing.join(" "));
    // Another package manager may hold the lock for a while on a machine that has just booted.
    let apt = |arguments: &[&str]| {
        shell::output(
            Command::new("apt-get")
                .args(["-o", "DPkg::Lock::Timeout=300", "--yes", "--quiet"])
                .args(arguments)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    apt(&["update"]).context("refresh the package lists")?;
    let mut arguments = vec!["install", "--no-install-recommends"];
    arguments.extend(&missing);
    apt(&arguments).context("install packages")?;
    Ok(())
}

fn installed(name: &str) -> bool {
    shell::quiet(
        "dpkg-query",
        &["--show", "--showformat=${db:Status-Status}", name],
    )
    .is_ok_and(|status| status == "installed")
}
