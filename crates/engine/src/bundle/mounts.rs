//! Mounts: the kernel's file systems, the three files of /etc, then what was asked for.

use oci::runtime::Mount as Entry;

use super::Facts;
use crate::container::spec::{Mount, defaults};

/// All mounts, outer ones first.
pub(super) fn all(facts: &Facts<'_>) -> Vec<Entry> {
    let spec = &facts.record.spec;
    let mut entries = kernel(facts);
    entries.extend(files(facts));
    for mount in &spec.mounts {
        let target = clean(mount.target());
        // What was asked for takes the place of what is there by default.
        entries.retain(|entry| entry.destination != target);
        entries.push(match mount {
            Mount::Bind {
                source,
                read_only,
                recursive_read_only,
                propagation,
                non_recursive,
                ..
            } => {
                let bind = if *non_recursive { "bind" } else { "rbind" };
                let mut options = vec![bind.to_owned(), propagation.as_str().to_owned()];
                let access = match (read_only, recursive_read_only) {
                    (false, _) => "rw",
                    (true, false) => "ro",
                    (true, true) => "rro",
                };
                options.push(access.to_owned());
                Entry {
                    destination: target,
                    kind: "bind".into(),
                    source: source.to_string_lossy().into_owned(),
                    options,
                }
            }
            Mount::Tmpfs { options, .. } => Entry {
                destination: target,
                kind: "tmpfs".into(),
                source: "tmpfs".into(),
                options: tmpfs(options),
            },
        });
    }
    entries.sort_by_key(|entry| depth(&entry.destination));
    entries
}

fn kernel(facts: &Facts<'_>) -> Vec<Entry> {
    let spec = &facts.record.spec;
    let read = if spec.privileged { "rw" } else { "ro" };
    let shm = format!("size={}", spec.shm_size.unwrap_or(defaults::SHM_SIZE));
    let mut entries = vec![
        entry("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        entry(
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        entry(
            "/dev/pts",
            "devpts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        entry(
            "/sys",
            "sysfs",
            "sysfs",
            &["nosuid", "noexec", "nodev", read],
        ),
        entry(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &[read, "nosuid", "noexec", "nodev"],
        ),
    ];
    // The queues are the IPC namespace's, whoever mounts them: the host's too, which may not have them mounted.
    entries.push(entry(
        "/dev/mqueue",
        "mqueue",
        "mqueue",
        &["nosuid", "noexec", "nodev"],
    ));
    if spec.host_ipc {
        entries.push(entry(
            "/dev/shm",
            "bind",
            "/dev/shm",
            &["rbind", "rprivate"],
        ));
    } else {
        entries.push(entry(
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", &shm],
        ));
    }
    entries
}

/// hostname, hosts and resolv.conf, which the engine writes at each start.
fn files(facts: &Facts<'_>) -> Vec<Entry> {
    let read = if facts.record.spec.read_only {
        "ro"
    } else {
        "rw"
    };
    let bind = |name: &str| {
        let source = facts.etc.etc(name).to_string_lossy().into_owned();
        entry(
            &format!("/etc/{name}"),
            "bind",
            &source,
            &["rbind", "rprivate", read],
        )
    };
    ["resolv.conf", "hostname", "hosts"].map(bind).to_vec()
}

fn entry(destination: &str, kind: &str, source: &str, options: &[&str]) -> Entry {
    Entry {
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: options.iter().map(|&option| option.to_owned()).collect(),
    }
}

/// Docker's defaults for a tmpfs, each given up for its opposite.
fn tmpfs(asked: &[String]) -> Vec<String> {
    let has = |word: &str| asked.iter().any(|option| option == word);
    let defaults = [("noexec", "exec"), ("nosuid", "suid"), ("nodev", "dev")];
    let mut options: Vec<String> = defaults
        .iter()
        .filter(|(default, opposite)| !has(opposite) && !has(default))
        .map(|(default, _)| (*default).to_owned())
        .collect();
    options.extend(asked.iter().cloned());
    options
}

/// `/a/../b//c/` is `/b/c`.
pub(crate) fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn depth(path: &str) -> usize {
    path.split('/').filter(|part| !part.is_empty()).count()
}
