//! Limits become writes to control files.

use std::io;
use std::path::{Path, PathBuf};

use sys::cgroup as files;

use crate::error::{Error, Result};
use crate::plan::{Cgroup, DeviceRule, Limits};

/// Writes `limits`; returns what this kernel cannot do and Docker only warns about.
pub(super) fn apply(group: &Cgroup, limits: &Limits, devices: bool) -> Result<Vec<String>> {
    let mut writer = Writer {
        group,
        warnings: Vec::new(),
    };
    if group.is_v2() {
        writer.v2(limits, devices)?;
    } else {
        writer.v1(limits, devices)?;
    }
    Ok(writer.warnings)
}

/// The cgroup2 controllers that a group's parent has, and does not give to its children.
fn withheld(directory: &Path) -> Vec<String> {
    let controllers = |directory: &Path| {
        let names = files::read(directory, "cgroup.controllers").unwrap_or_default();
        names
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let given = controllers(directory);
    let mut withheld = directory.parent().map(controllers).unwrap_or_default();
    withheld.retain(|name| !given.contains(name));
    withheld
}

struct Writer<'a> {
    group: &'a Cgroup,
    warnings: Vec<String>,
}

fn unlimited(value: i64) -> String {
    if value < 0 {
        "max".to_owned()
    } else {
        value.to_string()
    }
}

fn write(directory: &Path, file: &str, value: &str) -> Result<()> {
    files::write(directory, file, value).map_err(Error::io(format!(
        "write {value} to {}",
        directory.join(file).display()
    )))
}

impl Writer<'_> {
    /// The directory of a v1 controller; a limit without one is reported.
    fn controller(&mut self, name: &str) -> Option<PathBuf> {
        let found = self.group.controller(name);
        if found.is_none() {
            self.warnings.push(format!(
                "the kernel has no {name} controller; its limits are ignored"
            ));
        }
        found
    }

    /// Writes what a kernel may not have been built with.
    fn optional(&mut self, directory: &Path, file: &str, value: &str) -> Result<()> {
        match files::write(directory, file, value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.warnings
                    .push(format!("the kernel has no {file}; this limit is ignored"));
                Ok(())
            }
            other => other.map_err(Error::io(format!(
                "write {value} to {}",
                directory.join(file).display()
            ))),
        }
    }

    fn v1(&mut self, limits: &Limits, devices: bool) -> Result<()> {
        if devices
            && !limits.devices.is_empty()
            && let Some(directory) = self.controller("devices")
        {
            for rules in limits.devices.chunk_by(|one, next| one.allow == next.allow) {
                let file = if rules[0].allow {
                    "devices.allow"
                } else {
                    "devices.deny"
                };
                let lines = rules.iter().map(DeviceRule::line);
                files::write_each(&directory, file, lines).map_err(Error::io(format!(
                    "write device rules to {}",
                    directory.join(file).display()
                )))?;
            }
        }
        self.v1_memory(limits)?;
        self.v1_cpu(limits)?;
        if let Some(pids) = limits.pids
            && let Some(directory) = self.controller("pids")
        {
            write(
                &directory,
                "pids.max",
                &unlimited(if pids <= 0 { -1 } else { pids }),
            )?;
        }
        let throttled = limits.throttle.iter().any(|list| !list.is_empty());
        if (limits.blkio_weight.is_some() || throttled)
            && let Some(directory) = self.controller("blkio")
        {
            if let Some(weight) = limits.blkio_weight {
                let file = if directory.join("blkio.weight").exists() {
                    "blkio.weight"
                } else {
                    "blkio.bfq.weight"
                };
                self.optional(&directory, file, &weight.to_string())?;
            }
            let names = ["read_bps", "write_bps", "read_iops", "write_iops"];
            for (name, list) in names.iter().zip(&limits.throttle) {
                for (device, rate) in list {
                    self.optional(
                        &directory,
                        &format!("blkio.throttle.{name}_device"),
                        &format!("{device} {rate}"),
                    )?;
                }
            }
        }
        if !limits.hugepages.is_empty()
            && let Some(directory) = self.controller("hugetlb")
        {
            for (size, limit) in &limits.hugepages {
                write(
                    &directory,
                    &format!("hugetlb.{size}.limit_in_bytes"),
                    &limit.to_string(),
                )?;
            }
        }
        Ok(())
    }

    fn v1_memory(&mut self, limits: &Limits) -> Result<()> {
        let asked = limits.memory.is_some()
            || limits.memory_swap.is_some()
            || limits.memory_reservation.is_some()
            || limits.swappiness.is_some()
            || limits.oom_kill_disable;
        if !asked {
            return Ok(());
        }
        let Some(directory) = self.controller("memory") else {
            return Ok(());
        };
        let (limit, both) = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes");
        let memory = limits.memory.map(|value| value.to_string());
        let swap = limits.memory_swap.map(|value| value.to_string());
        // The kernel demands memory <= memory and swap at every moment: which goes first depends on the direction.
        if let (Some(memory), Some(swap)) = (&memory, &swap) {
            if files::write(&directory, limit, memory).is_ok() {
                self.optional(&directory, both, swap)?;
            } else {
                self.optional(&directory, both, swap)?;
                write(&directory, limit, memory)?;
            }
        } else if let Some(memory) = &memory {
            write(&directory, limit, memory)?;
        } else if let Some(swap) = &swap {
            self.optional(&directory, both, swap)?;
        }
        if let Some(reservation) = limits.memory_reservation {
            write(
                &directory,
                "memory.soft_limit_in_bytes",
                &reservation.to_string(),
            )?;
        }
        if let Some(swappiness) = limits.swappiness {
            write(&directory, "memory.swappiness", &swappiness.to_string())?;
        }
        if limits.oom_kill_disable {
            self.optional(&directory, "memory.oom_control", "1")?;
        }
        Ok(())
    }

    fn v1_cpu(&mut self, limits: &Limits) -> Result<()> {
        let values = [
            (
                "cpu.shares",
                limits.cpu_shares.map(|value| value.to_string()),
            ),
            (
                "cpu.cfs_period_us",
                limits.cpu_period.map(|value| value.to_string()),
            ),
            (
                "cpu.cfs_quota_us",
                limits.cpu_quota.map(|value| value.max(-1).to_string()),
            ),
            (
                "cpu.cfs_burst_us",
                limits.cpu_burst.map(|value| value.to_string()),
            ),
        ];
        if values.iter().any(|(_, value)| value.is_some())
            && let Some(directory) = self.controller("cpu")
        {
            for (file, value) in values {
                if let Some(value) = value {
                    self.optional(&directory, file, &value)?;
                }
            }
        }
        let values = [
            ("cpuset.cpus", &limits.cpuset_cpus),
            ("cpuset.mems", &limits.cpuset_mems),
        ];
        if values.iter().any(|(_, value)| !value.is_empty())
            && let Some(directory) = self.controller("cpuset")
        {
            for (file, value) in values.into_iter().filter(|(_, value)| !value.is_empty()) {
                write(&directory, file, value)?;
            }
        }
        Ok(())
    }

    fn v2(&mut self, limits: &Limits, devices: bool) -> Result<()> {
        let Some(directory) = self.group.unified() else {
            return Ok(());
        };
        if devices && !limits.devices.is_empty() {
            restrict_devices(&directory, limits)?;
        }
        let mut values: Vec<(&str, String)> = Vec::new();
        if let Some(memory) = limits.memory {
            values.push(("memory.max", unlimited(memory)));
        }
        if let Some(both) = limits.memory_swap {
            // v2 counts swap alone.
            let swap = if both < 0 {
                both
            } else {
                (both - limits.memory.unwrap_or(0).max(0)).max(0)
            };
            values.push(("memory.swap.max", unlimited(swap)));
        }
        if let Some(reservation) = limits.memory_reservation {
            values.push(("memory.low", unlimited(reservation)));
        }
        if limits.cpu_quota.is_some() || limits.cpu_period.is_some() {
            let quota = unlimited(
                limits
                    .cpu_quota
                    .map_or(-1, |quota| if quota <= 0 { -1 } else { quota }),
            );
            values.push((
                "cpu.max",
                format!("{quota} {}", limits.cpu_period.unwrap_or(100_000)),
            ));
        }
        if let Some(burst) = limits.cpu_burst {
            values.push(("cpu.max.burst", burst.to_string()));
        }
        if let Some(shares) = limits.cpu_shares {
            values.push(("cpu.weight", weight(shares).to_string()));
        }
        if !limits.cpuset_cpus.is_empty() {
            values.push(("cpuset.cpus", limits.cpuset_cpus.clone()));
        }
        if !limits.cpuset_mems.is_empty() {
            values.push(("cpuset.mems", limits.cpuset_mems.clone()));
        }
        if let Some(pids) = limits.pids {
            values.push(("pids.max", unlimited(if pids <= 0 { -1 } else { pids })));
        }
        if let Some(weight) = limits.blkio_weight {
            let weight = 1 + (u64::from(weight).saturating_sub(10)) * 9999 / 990;
            values.push(("io.weight", weight.to_string()));
        }
        for (name, list) in ["rbps", "wbps", "riops", "wiops"]
            .iter()
            .zip(&limits.throttle)
        {
            values.extend(
                list.iter()
                    .map(|(device, rate)| ("io.max", format!("{device} {name}={rate}"))),
            );
        }
        let withheld = withheld(&directory);
        for (file, value) in values {
            let controller = file.split('.').next().unwrap_or(file);
            if withheld.iter().any(|name| name == controller) {
                return Err(Error::Unsupported(format!(
                    "a {controller} limit below {}, whose own processes keep it from giving the {controller} controller to its children",
                    directory.parent().unwrap_or(&directory).display()
                )));
            }
            self.optional(&directory, file, &value)?;
        }
        for (size, limit) in &limits.hugepages {
            self.optional(
                &directory,
                &format!("hugetlb.{size}.max"),
                &limit.to_string(),
            )?;
        }
        for (file, value) in &limits.unified {
            write(&directory, file, value)?;
        }
        Ok(())
    }
}

/// From shares (2 to 262144, 1024 the default) to weight (1 to 10000, 100 the default), as runc since 1.3.2: a curve
/// through all three points.
fn weight(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    if shares >= 262_144 {
        return 10_000;
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 18 bits")]
    let l = (shares as f64).log2();
    let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and 10000"
    )]
    let weight = 10_f64.powf(exponent).ceil() as u64;
    weight
}

fn restrict_devices(directory: &Path, limits: &Limits) -> Result<()> {
    let rules: Vec<sys::bpf::Rule> = limits
        .devices
        .iter()
        .map(|rule| sys::bpf::Rule {
            allow: rule.allow,
            kind: match rule.kind {
                'b' => Some(sys::bpf::Kind::Block),
                'c' => Some(sys::bpf::Kind::Character),
                _ => None,
            },
            major: rule.major,
            minor: rule.minor,
            read: rule.read,
            write: rule.write,
            make: rule.make,
        })
        .collect();
    let open = files::open_directory(directory).map_err(Error::io(format!(
        "open control group {}",
        directory.display()
    )))?;
    sys::bpf::restrict_devices(std::os::fd::AsFd::as_fd(&open), &rules).map_err(Error::io(format!(
        "restrict devices of {}",
        directory.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn weights_of_shares() {
        for (shares, expected) in [(0, 1), (2, 1), (1024, 100), (262_144, 10_000), (512, 59)] {
            assert_eq!(weight(shares), expected, "{shares}");
        }
    }
}
