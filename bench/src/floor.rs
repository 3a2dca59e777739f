//! The floor: the system calls that no container engine can leave out, and nothing else.
//!
//! Namespaces, an overlay of one layer, procfs, a new root, the program, its end. No network interface, no cgroup, no
//! seccomp filter, no record, no log: what an engine adds is the distance to this.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use sys::process::{self, Forked, Image, SingleThreaded, namespace};
use sys::{mount, overlay};

/// Runs `/bin/true` of `rootfs` once; `scratch` holds the writable layer.
pub(crate) fn run(rootfs: &Path, scratch: &Path) -> io::Result<Duration> {
    let alone = SingleThreaded::prove()?;
    // A volatile overlay's directories serve once.
    if scratch.exists() {
        fs::remove_dir_all(scratch)?;
    }
    for part in ["upper", "work", "root"] {
        fs::create_dir_all(scratch.join(part))?;
    }
    let start = Instant::now();
    let flags =
        namespace::MOUNT | namespace::PID | namespace::UTS | namespace::IPC | namespace::NETWORK;
    match process::clone(&alone, flags, None)? {
        Forked::Child => {
            eprintln!("bench: floor: {}", inside(&alone, rootfs, scratch));
            process::exit_now(127);
        }
        Forked::Parent(child) => {
            let ended = process::wait(child.pid)?;
            let elapsed = start.elapsed();
            match ended.code() {
                0 => Ok(elapsed),
                code => Err(io::Error::other(format!(
                    "the floor's program ended with {code}"
                ))),
            }
        }
    }
}

/// Returns only when something failed.
fn inside(alone: &SingleThreaded, rootfs: &Path, scratch: &Path) -> io::Error {
    let prepared = || -> io::Result<Image> {
        mount::change_root_propagation(alone, mount::propagation::PRIVATE)?;
        let root = overlay::mount(
            &[rootfs],
            Some((&scratch.join("upper"), &scratch.join("work"))),
            true,
        )?;
        let target = OwnedFd::from(File::open(scratch.join("root"))?);
        mount::attach(root.as_fd(), target.as_fd())?;
        mount::pivot_root(alone, root.as_fd())?;
        let proc = mount::filesystem("proc", "proc", &[], 0)?;
        mount::attach(proc.as_fd(), File::open("/proc")?.as_fd())?;
        Image::new(&["true"], &["PATH=/bin"])
    };
    match prepared() {
        Ok(image) => image.execute(c"/bin/true"),
        Err(error) => error,
    }
}
