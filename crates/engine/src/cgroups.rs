//! The control groups of this engine: one for all monitors, one a container (the runtime's), all below one parent.
//!
//! Monitors are in a group of their own, so that neither a container's limit nor the end of the daemon's service or of a
//! login session reaches them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sys::cgroup;
use sys::spawn::Groups;

use crate::host::Host;

/// Makes the monitors' group in every hierarchy and opens what a process enters through, with warnings.
pub(crate) fn open_monitors(host: &Host, parent: &str) -> (Groups, Vec<String>) {
    let (mut entries, mut warnings) = (Vec::new(), Vec::new());
    let stay = |directory: &Path, error: &io::Error| {
        format!(
            "monitors stay in the daemon's control group: {}: {error}",
            directory.display()
        )
    };
    for (directory, v2) in host.group_dirs(&format!("{parent}/monitors")) {
        match make(&directory, v2) {
            // Of v1 one thread enters through `tasks`: moving a thread group would wait for all CPUs.
            Ok(()) => entries.push(directory.join(if v2 { "cgroup.procs" } else { "tasks" })),
            Err(error) => warnings.push(stay(&directory, &error)),
        }
    }
    let groups = Groups::open(&entries).unwrap_or_else(|error| {
        warnings.push(stay(Path::new(parent), &error));
        Groups::default()
    });
    (groups, warnings)
}

fn make(directory: &Path, v2: bool) -> io::Result<()> {
    let parent = directory.parent().filter(|parent| !parent.exists());
    fs::create_dir_all(directory)?;
    if v2 {
        return Ok(());
    }
    // A new cpuset is empty, and nothing enters an empty one: it is filled from its parent, outermost first.
    let mut chain: Vec<&Path> = directory
        .ancestors()
        .take_while(|dir| dir.join("cpuset.cpus").exists())
        .collect();
    chain.reverse();
    // What is made below our own then has them from its birth. A group that was there before is somebody else's.
    if let Some(parent) = parent.filter(|_| !chain.is_empty()) {
        cgroup::write(parent, "cgroup.clone_children", "1")?;
    }
    for pair in chain.windows(2) {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if cgroup::read(pair[1], file)?.trim().is_empty() {
                cgroup::write(pair[1], file, cgroup::read(pair[0], file)?.trim())?;
            }
        }
    }
    Ok(())
}

/// Takes the monitors' group and our parent away if nobody is in them: an engine that ends without containers leaves none.
pub(crate) fn leave(host: &Host, parent: &str) {
    for group in [format!("{parent}/monitors"), parent.to_owned()] {
        for (directory, _) in host.group_dirs(&group) {
            // Not empty, or another's: it stays.
            drop(fs::remove_dir(directory));
        }
    }
}

/// Kills whatever is in a container's groups and removes them; groups that do not exist are done.
pub(crate) fn end(host: &Host, parent: &str, id: &str) -> io::Result<()> {
    let directories: Vec<PathBuf> = host
        .group_dirs(&format!("{parent}/{id}"))
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.exists())
        .collect();
    // A frozen process does not die of a signal on v1.
    for directory in &directories {
        if directory.join("freezer.state").exists() {
            cgroup::write(directory, "freezer.state", "THAWED")?;
        }
    }
    for directory in &directories {
        cgroup::kill(directory)?;
    }
    for directory in &directories {
        cgroup::remove(directory)?;
    }
    Ok(())
}

/// Containers that have a group below our parent.
pub(crate) fn containers(host: &Host, parent: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for (directory, _) in host.group_dirs(parent) {
        let Ok(entries) = fs::read_dir(directory) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_id = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_id && !ids.contains(&name) {
                ids.push(name);
            }
        }
    }
    ids
}
