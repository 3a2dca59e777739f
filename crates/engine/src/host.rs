//! The host, looked at once: kernel, CPUs, memory, control groups, rights.

use std::fs;
use std::path::{Path, PathBuf};

use sys::cgroup::{Layout, Version};

use crate::{Error, Result};

/// What the engine must know of the host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// `6.18.0-…`.
    pub kernel: String,
    /// Its first two numbers.
    pub kernel_version: (u32, u32),
    /// The host's name.
    pub hostname: String,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub operating_system: String,
    /// `12`.
    pub os_version: String,
    /// CPUs this process may use.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Capabilities that this process has and can give.
    pub capabilities: u64,
    /// Side channels to be masked: one path a CPU.
    pub thermal_throttle: Vec<String>,
    /// The control groups.
    pub layout: Option<Layout>,
}

impl Host {
    /// Looks at the host.
    pub fn look() -> Result<Self> {
        let kernel = read("/proc/sys/kernel/osrelease");
        let (operating_system, os_version) = os_release(&read("/etc/os-release"));
        Ok(Self {
            kernel_version: version_numbers(&kernel),
            kernel,
            hostname: read("/proc/sys/kernel/hostname"),
            operating_system,
            os_version,
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory_total(&read("/proc/meminfo")),
            capabilities: sys::caps::get()
                .map_err(Error::io("read the engine's capabilities"))?
                .permitted,
            thermal_throttle: thermal_throttle(),
            layout: Some(Layout::detect().map_err(Error::io("look for control groups"))?),
        })
    }

    /// 1 or 2, as Docker says it: a hybrid host is 1.
    pub fn cgroup_version(&self) -> u8 {
        match self.layout.as_ref().map(Layout::version) {
            Some(Version::V2) => 2,
            _ => 1,
        }
    }

    /// Whether the host can limit this (`memory`, `cpu`, `cpuset`, `pids`, …).
    pub fn controls(&self, controller: &str) -> bool {
        let Some(layout) = &self.layout else {
            return false;
        };
        let v1 = layout.v1.iter().any(|hierarchy| {
            hierarchy
                .controllers
                .iter()
                .any(|known| known == controller)
        });
        let v2 = layout.v2.as_ref().is_some_and(|mount| {
            read(&mount.join("cgroup.controllers").to_string_lossy())
                .split_whitespace()
                .any(|known| known == controller)
        });
        v1 || v2
    }

    /// A group's directory in each hierarchy, with whether it is cgroup2's.
    pub fn group_dirs(&self, group: &str) -> Vec<(PathBuf, bool)> {
        let Some(layout) = &self.layout else {
            return Vec::new();
        };
        let relative = group.trim_start_matches('/');
        let v1 = layout
            .v1
            .iter()
            .map(|hierarchy| (hierarchy.mount.join(relative), false));
        v1.chain(layout.v2.iter().map(|mount| (mount.join(relative), true)))
            .collect()
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim_end()
        .to_owned()
}

fn version_numbers(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(['.', '-'])
        .map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn os_release(text: &str) -> (String, String) {
    let value = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default()
            .trim_matches(['"', '\''])
            .to_owned()
    };
    let pretty = value("PRETTY_NAME");
    (
        if pretty.is_empty() {
            "Linux".to_owned()
        } else {
            pretty
        },
        value("VERSION_ID"),
    )
}

fn memory_total(meminfo: &str) -> u64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> =
        line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok());
    kib.unwrap_or(0) * 1024
}

fn thermal_throttle() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/sys/devices/system/cpu") else {
        return Vec::new();
    };
    let paths = entries
        .flatten()
        .map(|entry| entry.path().join("thermal_throttle"));
    let mut found: Vec<String> = paths
        .filter(|path| Path::exists(path))
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_files_say_is_understood() {
        assert_eq!(version_numbers("6.18.0-rc1+"), (6, 18));
        assert_eq!(version_numbers("6.1-x"), (6, 1));
        assert_eq!(memory_total("X: 1\nMemTotal:       2048 kB\n"), 2 << 20);
        let (name, version) =
            os_release("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID='12'\n");
        assert_eq!(
            (name.as_str(), version.as_str()),
            ("Debian GNU/Linux 12", "12")
        );
    }
}
