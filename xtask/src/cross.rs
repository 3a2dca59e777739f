//! The engine for aarch64: built whole, and asked for its version under emulation. What is of one machine only (widths of C's
//! types, numbers of system calls) shows here.
//!
//! The compiler is Debian sid's, which packages the library of that architecture, in a tree of its own; the sources of the
//! crates are those that every build uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{fixtures, packages, shell};

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// In a mount namespace of its own: the tree, with the directories that follow at the same places in it.
const ENTER: &str = r#"set -e
tree=$1; shift
while [ "$1" != -- ]; do mkdir -p "$tree$1"; mount --bind "$1" "$tree$1"; shift; done
shift
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
exec chroot "$tree" "$@""#;

/// Builds the engine for aarch64, and runs it as far as its version.
pub(crate) fn run() -> Result<()> {
    packages::install()?;
    let tree = fixtures::make_cross()?;
    shell::cargo(&["fetch", "--locked"])?;
    let places = Places::find()?;
    let cargo = Path::new(env!("CARGO")).to_string_lossy();
    shell::phase("build", || {
        let mut build = places.inside(&tree);
        build.args([&cargo, "build", "--release", "--locked", "--offline"]);
        shell::run(build.args(["--package", "corten", "--target", TARGET]))
    })?;
    let program = places.target.join(TARGET).join("release/corten");
    let mut version = places.inside(&tree);
    shell::run(version.arg("qemu-aarch64").arg(program).arg("--version"))
}

/// What the compiler needs from outside of its tree.
struct Places {
    toolchain: PathBuf,
    crates: PathBuf,
    target: PathBuf,
}

impl Places {
    fn find() -> Result<Self> {
        let cargo = Path::new(env!("CARGO"));
        let toolchain = cargo.ancestors().nth(2).context("cargo has a toolchain")?;
        let home = std::env::var_os("HOME").context("there is no $HOME")?;
        let crates = std::env::var_os("CARGO_HOME")
            .map_or_else(|| Path::new(&home).join(".cargo"), PathBuf::from);
        // Apart from what the toolchain's own compiler has made.
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| shell::root().join("target"), PathBuf::from)
            .join("cross");
        fs::create_dir_all(&target).with_context(|| format!("create {}", target.display()))?;
        Ok(Self {
            toolchain: toolchain.to_owned(),
            crates,
            target,
        })
    }

    /// A command that runs in the tree, in the root of the checkout.
    fn inside(&self, tree: &Path) -> Command {
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            ENTER,
            "sh",
        ]);
        command.arg(tree).arg(shell::root());
        command.args([&self.toolchain, &self.crates, &self.target]);
        command.args(["--", "env", "--chdir"]).arg(shell::root());
        command.args([
            "PATH=/usr/sbin:/usr/bin",
            "RUSTC=/usr/bin/rustc",
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc",
        ]);
        let given = |name: &str, value: &Path| format!("{name}={}", value.display());
        command.arg(given("CARGO_HOME", &self.crates));
        command.arg(given("CARGO_TARGET_DIR", &self.target));
        command
    }
}
