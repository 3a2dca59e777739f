//! What a daemon may have left behind: processes, mounts, interfaces, firewall rules, cgroups, records, snapshots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{self, eventually};

/// The names under which a context's things are found.
#[derive(Clone, Debug)]
pub struct Names {
    /// Everything on disk stands below it, and every process of ours names it.
    pub directory: PathBuf,
    /// The bridge, also the name of its firewall table.
    pub bridge: String,
    /// The parent of the containers' cgroups, without a slash.
    pub cgroup: String,
}

/// Everything that is left while the daemon still runs and has no containers: records, snapshots, monitors, cgroups.
pub fn of_containers(names: &Names) -> Vec<String> {
    let mut left = containers_on_disk(names);
    left.extend(cgroups(names));
    left.extend(
        processes(names)
            .into_iter()
            .filter(|line| line.contains("monitor")),
    );
    left
}

/// Everything that is left once the daemon has ended.
pub fn of_daemon(names: &Names) -> Vec<String> {
    let mut left = containers_on_disk(names);
    left.extend(processes(names));
    left.extend(mounts(names));
    left.extend(interfaces(names));
    left.extend(published(names));
    left.extend(cgroups(names));
    left
}

/// Waits until nothing is left: the kernel tears down in its own time, and a reaper has a second.
pub fn settle(limit: Duration, mut look: impl FnMut() -> Vec<String>) -> Vec<String> {
    let mut left = Vec::new();
    eventually(limit, || {
        left = look();
        left.is_empty()
    });
    left
}

/// Removes what outlives a daemon by design, as Docker's own bridge does: the bridge and its rules.
pub fn remove_network(names: &Names) {
    if Path::new("/sys/class/net").join(&names.bridge).exists() {
        command::run(Command::new("ip").args(["link", "delete", &names.bridge]));
    }
    for bridge in bridges(names) {
        command::run(Command::new("ip").args(["link", "delete", &bridge]));
    }
    let ports = format!("{}-ports", names.bridge);
    for (family, table) in [("inet", &names.bridge), ("ip", &ports), ("ip6", &ports)] {
        _ = Command::new("nft")
            .args(["delete", "table", family, table])
            .stderr(std::process::Stdio::null())
            .status();
    }
}

/// Bridges of networks that a test made: the daemon marks each with the name of its default one.
fn bridges(names: &Names) -> Vec<String> {
    let alias = format!("corten {}", names.bridge);
    entries(Path::new("/sys/class/net"))
        .filter(|path| {
            fs::read_to_string(path.join("ifalias")).is_ok_and(|found| found.trim() == alias)
        })
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect()
}

fn containers_on_disk(names: &Names) -> Vec<String> {
    let mut left = Vec::new();
    for path in ["data/containers", "run/containers"] {
        left.extend(
            entries(&names.directory.join(path))
                .map(|path| format!("directory {}", path.display())),
        );
    }
    // Containers' snapshots are active; layers, committed ones, have no upper work directory.
    // One that waits for its key is of no container yet.
    for path in entries(&names.directory.join("data/snapshots")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.join("work").exists() && !name.starts_with("ready-") {
            left.push(format!("snapshot {}", path.display()));
        }
    }
    left
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
}

fn processes(names: &Names) -> Vec<String> {
    let directory = names.directory.to_string_lossy().into_owned();
    let mut left = Vec::new();
    for path in entries(Path::new("/proc")) {
        let Some(pid) = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let text = |name: &str| {
            String::from_utf8_lossy(&fs::read(path.join(name)).unwrap_or_default())
                .replace('\0', " ")
        };
        let arguments = text("cmdline");
        // What has ended holds nothing; those of the daemon that was killed are init's to take notice of, in its own time.
        let ended = status(&path).is_some_and(|(state, _)| state == "Z");
        if pid != std::process::id()
            && !ended
            && [arguments.as_str(), &text("environ"), &text("cgroup")]
                .iter()
                .any(|text| {
                    text.contains(&directory) || text.contains(&format!("/{}", names.cgroup))
                })
        {
            left.push(format!("process {pid} {}", arguments.trim()));
        }
    }
    left
}

/// Children of a process that have ended and that it does not take notice of.
pub fn zombies(parent: u32) -> Vec<String> {
    let ended = |path: PathBuf| {
        let (state, its_parent) = status(&path)?;
        (state == "Z" && its_parent == parent.to_string())
            .then(|| format!("ended child {} of the daemon", path.display()))
    };
    entries(Path::new("/proc")).filter_map(ended).collect()
}

/// State and parent of the process behind a directory of /proc.
fn status(process: &Path) -> Option<(String, String)> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // proc_pid_stat(5): the name stands in parentheses and may have any characters.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
}

fn mounts(names: &Names) -> Vec<String> {
    let directory = names.directory.to_string_lossy().into_owned();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table
        .lines()
        .filter(|line| line.contains(&directory))
        .map(|line| format!("mount {line}"))
        .collect()
}

/// Ports of the bridge, and veths whose other end has gone with them still there: those have no bridge any more.
fn interfaces(names: &Names) -> Vec<String> {
    let ports = Path::new("/sys/class/net").join(&names.bridge).join("brif");
    let ports = entries(&ports).map(|path| format!("interface {}", path.display()));
    let networks = bridges(names);
    ports
        .chain(networks.iter().map(|name| format!("bridge {name}")))
        .collect()
}

/// Rules of published ports: without any, their tables are gone.
fn published(names: &Names) -> Vec<String> {
    let ports = format!("{}-ports", names.bridge);
    let listed = Command::new("nft").args(["list", "tables"]).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .filter(|line| line.ends_with(&format!(" {ports}")))
        .map(|line| format!("firewall {line}"))
        .collect()
}

/// Control groups below the context's own, in every hierarchy. The monitors' group is the daemon's, and stays; nobody is in
/// it but those that wait for a container.
fn cgroups(names: &Names) -> Vec<String> {
    let mut left = Vec::new();
    for parent in parents(names) {
        let own = parent.join(MONITORS);
        let busy = fs::read_to_string(own.join("cgroup.procs"))
            .is_ok_and(|processes| processes.lines().any(|pid| !is_waiting(pid)));
        left.extend(
            entries(&parent)
                .filter(|path| path.is_dir() && (*path != own || busy))
                .map(|path| format!("cgroup {}", path.display())),
        );
    }
    left
}

fn is_waiting(pid: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"corten\0standby"))
}

/// The group of the monitors, beside those of the containers.
const MONITORS: &str = "monitors";

/// The context's own group in every hierarchy.
fn parents(names: &Names) -> impl Iterator<Item = PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let group = names.cgroup.clone();
    entries(root)
        .chain([root.to_path_buf()])
        .map(move |hierarchy| hierarchy.join(&group))
}

/// Removes the context's own, empty control groups.
pub fn remove_cgroups(names: &Names) {
    for parent in parents(names) {
        for path in entries(&parent).filter(|path| path.is_dir()) {
            _ = fs::remove_dir(path);
        }
        _ = fs::remove_dir(parent);
    }
}
