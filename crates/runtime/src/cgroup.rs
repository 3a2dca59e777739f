//! A container's control groups: made, limited, entered, frozen, killed, removed, in v1, v2 and hybrid layouts.
//!
//! In a hybrid layout the container gets a group in the cgroup2 hierarchy, too: it has no controllers there, but its
//! `cgroup.kill` ends all processes at once.

mod limits;

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use sys::cgroup as files;

use crate::error::{Error, Result};
use crate::plan::{Cgroup, Limits};

/// Open ends through which a new process enters: made by the parent, used by the child.
#[derive(Debug)]
pub(crate) struct Entry {
    v1: Vec<OwnedFd>,
    v2: Option<OwnedFd>,
}

impl Entry {
    /// The cgroup2 directory, for clone3.
    pub(crate) fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.v2.as_ref().map(AsFd::as_fd)
    }

    /// Enters the v1 groups; called by the child, for itself.
    pub(crate) fn enter(&self) -> io::Result<()> {
        self.v1.iter().try_for_each(files::enter)
    }
}

impl Cgroup {
    /// The group's directories: of v1 with their controllers, then the one of cgroup2 (without).
    fn directories(&self) -> impl Iterator<Item = (&[String], PathBuf)> {
        let v1 = self
            .v1
            .iter()
            .map(|(controllers, mount)| (controllers.as_slice(), self.below(mount)));
        v1.chain(self.v2.iter().map(|mount| (&[][..], self.below(mount))))
    }

    fn below(&self, mount: &str) -> PathBuf {
        PathBuf::from(format!("{mount}{}", self.path))
    }

    /// The directory in the cgroup2 hierarchy.
    pub fn unified(&self) -> Option<PathBuf> {
        self.v2.as_deref().map(|mount| self.below(mount))
    }

    /// The directory in the v1 hierarchy of a controller.
    pub fn controller(&self, name: &str) -> Option<PathBuf> {
        let found = self
            .v1
            .iter()
            .find(|(controllers, _)| controllers.iter().any(|known| known == name));
        found.map(|(_, mount)| self.below(mount))
    }

    /// Whether all controllers are cgroup2's.
    pub fn is_v2(&self) -> bool {
        self.v1.is_empty()
    }

    /// Makes the groups and writes the limits. Returns what could not be had.
    pub fn prepare(&self) -> Result<Vec<String>> {
        for (controllers, directory) in self.directories() {
            let cpuset = controllers.iter().any(|name| name == "cpuset");
            make(&directory, cpuset, self.is_v2()).map_err(Error::io(format!(
                "make control group {}",
                directory.display()
            )))?;
        }
        self.limit(&self.limits, true)
    }

    /// Writes limits, those of devices only at first (`update` never changes them).
    pub fn limit(&self, limits: &Limits, devices: bool) -> Result<Vec<String>> {
        limits::apply(self, limits, devices)
    }

    /// Opens what a new process enters through.
    pub(crate) fn entry(&self) -> Result<Entry> {
        let open = |directory: &Path, what: fn(&Path) -> io::Result<OwnedFd>| {
            what(directory).map_err(Error::io(format!(
                "open control group {}",
                directory.display()
            )))
        };
        let mut v1 = Vec::with_capacity(self.v1.len());
        for (_, mount) in &self.v1 {
            v1.push(open(&self.below(mount), |directory| {
                files::open_entry(directory, false)
            })?);
        }
        let v2 = self
            .unified()
            .map(|directory| open(&directory, files::open_directory))
            .transpose()?;
        Ok(Entry { v1, v2 })
    }

    /// Stops all processes until [`Cgroup::thaw`]; returns once they stand still.
    pub fn freeze(&self) -> Result<()> {
        self.set_frozen(true)
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(false)
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        let (directory, file, value, state, wanted) =
            match (self.controller("freezer"), self.unified()) {
                (Some(directory), _) => {
                    let value = if frozen { "FROZEN" } else { "THAWED" };
                    (directory, "freezer.state", value, "freezer.state", value)
                }
                (None, Some(directory)) => {
                    let value = if frozen { "1" } else { "0" };
                    (
                        directory,
                        "cgroup.freeze",
                        value,
                        "cgroup.events",
                        if frozen { "frozen 1" } else { "frozen 0" },
                    )
                }
                (None, None) => {
                    return Err(Error::Unsupported("freezing without a freezer".to_owned()));
                }
            };
        let name = directory.display().to_string();
        for _ in 0..2000 {
            // v1 wants to be asked again: a process that forks while it is frozen leaves FREEZING standing.
            files::write(&directory, file, value)
                .map_err(Error::io(format!("freeze or thaw {name}")))?;
            let text = files::read(&directory, state)
                .map_err(Error::io(format!("read state of {name}")))?;
            if text.lines().any(|line| line == wanted) {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_micros(500));
        }
        if frozen {
            self.set_frozen(false)?;
        }
        Err(Error::Conflict(format!(
            "freeze or thaw {name}: not all processes obeyed"
        )))
    }

    /// Whether the processes are frozen.
    pub fn is_frozen(&self) -> bool {
        let frozen = match (self.controller("freezer"), self.unified()) {
            (Some(directory), _) => {
                files::read(&directory, "freezer.state").map(|text| text.trim() != "THAWED")
            }
            (None, Some(directory)) => {
                files::read(&directory, "cgroup.freeze").map(|text| text.trim() == "1")
            }
            (None, None) => Ok(false),
        };
        frozen.unwrap_or(false)
    }

    /// Where all processes of the container can be found: one hierarchy is enough.
    fn any_directory(&self) -> Option<PathBuf> {
        self.unified()
            .or_else(|| self.controller("pids"))
            .or_else(|| self.v1.first().map(|(_, mount)| self.below(mount)))
    }

    /// Kills every process, frozen ones, too.
    pub fn kill(&self) -> Result<()> {
        let Some(directory) = self.any_directory() else {
            return Ok(());
        };
        let result = files::kill(&directory);
        if self.is_frozen() {
            self.thaw()?;
        }
        match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(Error::io(format!("kill {}", directory.display()))),
        }
    }

    /// Process ids, as the host sees them.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let Some(directory) = self.any_directory() else {
            return Ok(Vec::new());
        };
        files::processes(&directory).map_err(Error::io(format!(
            "list processes of {}",
            directory.display()
        )))
    }

    /// Sends a signal to every process.
    pub fn signal(&self, signal: i32) -> Result<()> {
        for pid in self.processes()? {
            // One that is gone needs no signal.
            sys::process::kill(pid, signal).ok();
        }
        Ok(())
    }

    /// How often the kernel killed a process of this group for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let text = match (self.controller("memory"), self.unified()) {
            (Some(directory), _) => files::read(&directory, "memory.oom_control"),
            (None, Some(directory)) => files::read(&directory, "memory.events"),
            (None, None) => return 0,
        };
        let text = text.unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// Removes the groups, nested ones first. Those that are gone are done.
    pub fn remove(&self) -> Result<()> {
        let mut first = Ok(());
        for (_, directory) in self.directories() {
            let removed = files::remove(&directory).map_err(Error::io(format!(
                "remove control group {}",
                directory.display()
            )));
            first = first.and(removed);
        }
        first
    }
}

/// Makes one group and its missing parents. Those above give it what the container will need, whoever made them.
fn make(directory: &Path, cpuset: bool, v2: bool) -> io::Result<()> {
    let parent = directory.parent().ok_or(io::ErrorKind::InvalidInput)?;
    match fs::create_dir(directory) {
        Ok(()) if cpuset => copy_cpuset(directory)?,
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(parent, cpuset, v2)?;
            return make(directory, cpuset, v2);
        }
        Err(error) => return Err(error),
    }
    if v2 { delegate(parent) } else { Ok(()) }
}

/// A v1 cpuset is born empty, and nobody can enter it before it has processors and nodes.
fn copy_cpuset(directory: &Path) -> io::Result<()> {
    let parent = directory.parent().ok_or(io::ErrorKind::InvalidInput)?;
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if files::read(directory, file)?.trim().is_empty() {
            files::write(directory, file, files::read(parent, file)?.trim())?;
        }
    }
    Ok(())
}

/// Gives all controllers of a cgroup2 group, and of those above it, to their children.
fn delegate(directory: &Path) -> io::Result<()> {
    if let Some(parent) = directory
        .parent()
        .filter(|parent| parent.join("cgroup.subtree_control").exists())
    {
        delegate(parent)?;
    }
    let available = files::read(directory, "cgroup.controllers")?;
    let enabled = files::read(directory, "cgroup.subtree_control")?;
    let enabled: Vec<&str> = enabled.split_whitespace().collect();
    for name in available
        .split_whitespace()
        .filter(|name| !enabled.contains(name))
    {
        // One controller may refuse (cpu with realtime tasks); its limits then fail by name.
        files::write(directory, "cgroup.subtree_control", &format!("+{name}")).ok();
    }
    Ok(())
}
