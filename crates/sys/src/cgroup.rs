//! Control groups: which hierarchies there are, their directories and files. No policy: limits are the caller's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::mount::magic;

/// How the host's control groups are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy a controller.
    V1,
    /// One hierarchy.
    V2,
    /// Controllers in v1 hierarchies, and a cgroup2 without them beside.
    Hybrid,
}

/// One mounted v1 hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its controllers.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount: PathBuf,
}

/// The host's hierarchies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// v1 hierarchies with controllers; named ones are left out.
    pub v1: Vec<Hierarchy>,
    /// Where cgroup2 is mounted.
    pub v2: Option<PathBuf>,
}

impl Layout {
    /// Looks at /sys/fs/cgroup, and at the mount table when that is not a cgroup2.
    pub fn detect() -> io::Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        if rustix::fs::statfs(root).is_ok_and(|stat| stat.f_type == magic::CGROUP2) {
            return Ok(Self {
                v1: Vec::new(),
                v2: Some(root.to_owned()),
            });
        }
        Ok(Self::parse(&fs::read_to_string("/proc/self/mountinfo")?))
    }

    fn parse(mountinfo: &str) -> Self {
        const CONTROLLERS: [&str; 14] = [
            "cpu",
            "cpuacct",
            "cpuset",
            "memory",
            "devices",
            "freezer",
            "blkio",
            "pids",
            "hugetlb",
            "net_cls",
            "net_prio",
            "perf_event",
            "rdma",
            "misc",
        ];
        let mut layout = Self {
            v1: Vec::new(),
            v2: None,
        };
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else {
                continue;
            };
            let mut fields = left.split(' ').skip(3);
            let (Some(root), Some(mount)) = (fields.next(), fields.next()) else {
                continue;
            };
            let mut right = right.split(' ');
            let (kind, options) = (right.next(), right.nth(1));
            match kind {
                Some("cgroup2") if layout.v2.is_none() && root == "/" => {
                    layout.v2 = Some(PathBuf::from(mount));
                }
                Some("cgroup") if !root.starts_with("/..") => {
                    let controllers: Vec<String> = options
                        .unwrap_or_default()
                        .split(',')
                        .filter(|option| CONTROLLERS.contains(option))
                        .map(str::to_owned)
                        .collect();
                    let known = layout
                        .v1
                        .iter()
                        .any(|hierarchy| hierarchy.controllers == controllers);
                    if !controllers.is_empty() && !known {
                        layout.v1.push(Hierarchy {
                            controllers,
                            mount: PathBuf::from(mount),
                        });
                    }
                }
                _ => {}
            }
        }
        layout
    }

    /// Which layout this is.
    pub fn version(&self) -> Version {
        match (self.v1.is_empty(), &self.v2) {
            (true, _) => Version::V2,
            (false, Some(_)) => Version::Hybrid,
            (false, None) => Version::V1,
        }
    }
}

/// Writes a value to a control file in one write.
pub fn write(directory: &Path, file: &str, value: &str) -> io::Result<()> {
    write_each(directory, file, [value])
}

/// Writes values to a control file, each in a write of its own.
pub fn write_each<T: AsRef<str>>(
    directory: &Path,
    file: &str,
    values: impl IntoIterator<Item = T>,
) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(directory.join(file))?;
    let mut values = values.into_iter();
    values.try_for_each(|value| file.write_all(value.as_ref().as_bytes()))
}

/// Reads a control file.
pub fn read(directory: &Path, file: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(directory.join(file))?.read_to_string(&mut text)?;
    Ok(text)
}

/// Opens the file through which a single-threaded process puts itself into a group by writing `0`.
///
/// Of v1 the file is `tasks`: moving a whole thread group waits for all CPUs (milliseconds), moving oneself does not.
pub fn open_entry(directory: &Path, v2: bool) -> io::Result<OwnedFd> {
    let name = if v2 { "cgroup.procs" } else { "tasks" };
    Ok(OpenOptions::new()
        .write(true)
        .open(directory.join(name))?
        .into())
}

/// Enters the group of [`open_entry`].
pub fn enter(entry: &OwnedFd) -> io::Result<()> {
    rustix::io::write(entry, b"0")?;
    Ok(())
}

/// Opens a group's directory, for clone3.
pub fn open_directory(directory: &Path) -> io::Result<OwnedFd> {
    let flags =
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    Ok(rustix::fs::open(
        directory,
        flags,
        rustix::fs::Mode::empty(),
    )?)
}

/// The processes of a group and of all groups below it.
pub fn processes(directory: &Path) -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    walk(directory, &mut |group| {
        let text = match read(group, "cgroup.procs") {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(()),
            other => other?,
        };
        pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        Ok(())
    })?;
    Ok(pids)
}

/// Visits a group and all below it, deepest first; one that is gone is skipped.
fn walk(directory: &Path, visit: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), visit)?;
        }
    }
    match visit(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Kills every process of a cgroup2 group at once (5.14), or each in turn until none is left.
pub fn kill(directory: &Path) -> io::Result<()> {
    match write(directory, "cgroup.kill", "1") {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    for _ in 0..100 {
        let pids = processes(directory)?;
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids.into_iter().filter(|pid| *pid > 0) {
            match crate::process::kill(pid, libc::SIGKILL) {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
                _ => {}
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(io::Error::other("processes are still there"))
}

/// Removes a group and all below it; one with processes just killed is busy for a moment. Missing: done.
pub fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir(directory) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    let mut pause = Duration::from_micros(200);
    for _ in 0..12 {
        match walk(directory, &mut |group| fs::remove_dir(group)) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            other => return other,
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_mount_table() {
        let text = "30 25 0:27 / /dev/shm rw - tmpfs tmpfs rw\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            33 31 0:30 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n\
            34 31 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let layout = Layout::parse(text);
        assert_eq!(layout.version(), Version::Hybrid);
        assert_eq!(layout.v1.len(), 1);
        assert_eq!(layout.v1[0].controllers, ["cpu", "cpuacct"]);
        assert_eq!(
            layout.v2.as_deref(),
            Some(Path::new("/sys/fs/cgroup/unified"))
        );
        assert!(Layout::detect().is_ok());
    }
}
