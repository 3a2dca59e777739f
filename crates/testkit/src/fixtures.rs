//! Where `cargo xtask fixtures` puts what it makes.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory of the fixtures.
pub fn directory() -> PathBuf {
    let cache = std::env::var_os("CORTEN_CACHE").map_or_else(
        || {
            Path::new(&std::env::var_os("HOME").unwrap_or_else(|| "/root".into()))
                .join(".cache/corten")
        },
        PathBuf::from,
    );
    cache.join("fixtures")
}

/// The archive of an image: `busybox`, `debian-bookworm`, `layered`, `services`.
#[track_caller]
pub fn image(name: &str) -> PathBuf {
    let path = directory().join(format!("{name}.tar"));
    assert!(
        path.exists(),
        "{} is missing: run cargo xtask fixtures",
        path.display()
    );
    path
}

/// A program of the tree of real clients, run on this machine with the tree's own loader and libraries.
pub fn client(program: &str) -> Option<Command> {
    let tree = directory().join("clients");
    let program = ["usr/bin", "usr/sbin", "usr/libexec/docker/cli-plugins"]
        .iter()
        .map(|directory| tree.join(directory).join(program))
        .find(|path| path.exists())?;
    let (loader, libraries) = match std::env::consts::ARCH {
        "aarch64" => ("usr/lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
        _ => ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
    };
    let mut command = Command::new(tree.join(loader));
    command
        .arg("--library-path")
        .arg(tree.join(libraries))
        .arg(program);
    Some(command)
}

/// The real docker command line: of the tree, else the machine's.
pub fn docker() -> Option<Command> {
    client("docker").or_else(|| {
        let installed = ["/usr/bin/docker", "/usr/local/bin/docker"];
        installed
            .iter()
            .find(|path| Path::new(path).exists())
            .map(Command::new)
    })
}

/// The program under test: `$CORTEN_BIN`, or the one that was built beside this test.
#[track_caller]
pub fn corten() -> PathBuf {
    if let Some(path) = std::env::var_os("CORTEN_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let path = test
        .parent()
        .and_then(Path::parent)
        .map(|directory| directory.join("corten"))
        .expect("a test stands in target/.../deps");
    assert!(
        path.exists(),
        "{} is missing: run cargo build --release, or cargo xtask test",
        path.display()
    );
    path
}
