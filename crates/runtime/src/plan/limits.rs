//! Limits of a control group, decided.

use oci::runtime::Resources;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Limits; `None` leaves what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes; -1: unlimited.
    pub memory: Option<i64>,
    /// Memory and swap together, bytes; -1: unlimited.
    pub memory_swap: Option<i64>,
    /// Soft limit of memory, bytes.
    pub memory_reservation: Option<i64>,
    /// 0 to 100 (v1 only).
    pub swappiness: Option<u64>,
    /// No out-of-memory killer (v1 only).
    pub oom_kill_disable: bool,
    /// Microseconds of processor time a period; 0 or less: unlimited.
    pub cpu_quota: Option<i64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// Relative weight, 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// Microseconds of unused quota to accumulate.
    pub cpu_burst: Option<u64>,
    /// Processors; empty: the parent's.
    pub cpuset_cpus: String,
    /// Memory nodes; empty: the parent's.
    pub cpuset_mems: String,
    /// Tasks; 0 or less: unlimited.
    pub pids: Option<i64>,
    /// 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// `MAJOR:MINOR` and rate: bytes read, bytes written, reads, writes a second.
    pub throttle: [Vec<(String, u64)>; 4],
    /// Huge pages: size such as `2MB`, bytes.
    pub hugepages: Vec<(String, u64)>,
    /// cgroup v2 files, written as they are.
    pub unified: Vec<(String, String)>,
    /// Device rules, in order; empty: every device is allowed (no rule is installed).
    pub devices: Vec<DeviceRule>,
}

/// One device rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Allow or deny.
    pub allow: bool,
    /// `a`, `b` or `c`.
    pub kind: char,
    /// Major number; none: all.
    pub major: Option<u32>,
    /// Minor number; none: all.
    pub minor: Option<u32>,
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// Nodes may be made.
    pub make: bool,
}

impl DeviceRule {
    /// As v1's files take it: `c 1:3 rwm`.
    pub fn line(&self) -> String {
        if self.kind == 'a' {
            return "a".to_owned();
        }
        let number = |part: Option<u32>| part.map_or("*".to_owned(), |part| part.to_string());
        let mut line = format!(
            "{} {}:{} ",
            self.kind,
            number(self.major),
            number(self.minor)
        );
        for (flag, letter) in [(self.read, 'r'), (self.write, 'w'), (self.make, 'm')] {
            if flag {
                line.push(letter);
            }
        }
        line
    }
}

/// What every container may use, whatever its rules say: nodes may be made, and the devices that we make ourselves.
fn default_devices() -> impl Iterator<Item = DeviceRule> {
    let make = |kind| DeviceRule {
        allow: true,
        kind,
        major: None,
        minor: None,
        read: false,
        write: false,
        make: true,
    };
    let use_all = |major, minor| DeviceRule {
        allow: true,
        kind: 'c',
        major: Some(major),
        minor,
        read: true,
        write: true,
        make: true,
    };
    // null, zero, full, random, urandom, tty, console, ptmx, pts/*
    let numbers = [
        (1, 3),
        (1, 5),
        (1, 7),
        (1, 8),
        (1, 9),
        (5, 0),
        (5, 1),
        (5, 2),
    ];
    [make('c'), make('b')]
        .into_iter()
        .chain(
            numbers
                .into_iter()
                .map(move |(major, minor)| use_all(major, Some(minor))),
        )
        .chain([use_all(136, None)])
}

fn device_rule(rule: &oci::runtime::DeviceRule) -> Result<DeviceRule> {
    let wrong = || Error::Invalid(format!("invalid device rule {rule:?}"));
    let kind = match rule.kind.as_str() {
        "" | "a" => 'a',
        "b" => 'b',
        "c" | "u" => 'c',
        _ => return Err(wrong()),
    };
    let number = |part: Option<i64>| match part {
        None | Some(-1) => Ok(None),
        Some(part) => u32::try_from(part).map(Some).map_err(|_| wrong()),
    };
    if !rule.access.chars().all(|letter| "rwm".contains(letter)) {
        return Err(wrong());
    }
    let has = |letter| rule.access.is_empty() || rule.access.contains(letter);
    let (major, minor) = (number(rule.major)?, number(rule.minor)?);
    // `a` means all devices: with a number it would say something that v1 cannot express.
    if kind == 'a' && (major.is_some() || minor.is_some()) {
        return Err(wrong());
    }
    Ok(DeviceRule {
        allow: rule.allow,
        kind,
        major,
        minor,
        read: has('r'),
        write: has('w'),
        make: has('m'),
    })
}

impl Limits {
    /// Decides the limits of a specification. Without device rules all devices are denied but the default ones
    /// (GHSA-g54h).
    pub fn compile(resources: &Resources) -> Result<Self> {
        let mut limits = Self::default();
        if let Some(memory) = &resources.memory {
            limits.memory = memory.limit.filter(|limit| *limit != 0);
            limits.memory_swap = memory.swap.filter(|limit| *limit != 0);
            limits.memory_reservation = memory.reservation.filter(|limit| *limit != 0);
            limits.swappiness = memory.swappiness;
            limits.oom_kill_disable = memory.disable_oom_killer.unwrap_or(false);
        }
        if let Some(cpu) = &resources.cpu {
            limits.cpu_quota = cpu.quota.filter(|quota| *quota != 0);
            limits.cpu_period = cpu.period.filter(|period| *period != 0);
            limits.cpu_shares = cpu.shares.filter(|shares| *shares != 0);
            limits.cpu_burst = cpu.burst;
            limits.cpuset_cpus.clone_from(&cpu.cpus);
            limits.cpuset_mems.clone_from(&cpu.mems);
        }
        limits.pids = resources
            .pids
            .as_ref()
            .map(|pids| pids.limit)
            .filter(|limit| *limit != 0);
        if let Some(block) = &resources.block_io {
            limits.blkio_weight = block.weight.filter(|weight| *weight != 0);
            let lists = [
                &block.throttle_read_bps_device,
                &block.throttle_write_bps_device,
                &block.throttle_read_iops_device,
                &block.throttle_write_iops_device,
            ];
            for (into, list) in limits.throttle.iter_mut().zip(lists) {
                *into = list
                    .iter()
                    .map(|device| (format!("{}:{}", device.major, device.minor), device.rate))
                    .collect();
            }
        }
        limits.hugepages = resources
            .hugepage_limits
            .iter()
            .map(|page| (page.page_size.clone(), page.limit))
            .collect();
        for (file, value) in &resources.unified {
            if file.contains('/') || file.starts_with("cgroup.") || !file.contains('.') {
                return Err(Error::Invalid(format!("invalid unified resource {file:?}")));
            }
            limits.unified.push((file.clone(), value.clone()));
        }
        let deny_all = DeviceRule {
            allow: false,
            kind: 'a',
            major: None,
            minor: None,
            read: true,
            write: true,
            make: true,
        };
        limits.devices.push(deny_all);
        for rule in &resources.devices {
            limits.devices.push(device_rule(rule)?);
        }
        limits.devices.extend(default_devices());
        limits.devices = essential(limits.devices);
        Ok(limits)
    }
}

/// The rules that decide something: none before the last that speaks of all devices, and none twice where nothing of the
/// other kind stands between.
fn essential(rules: Vec<DeviceRule>) -> Vec<DeviceRule> {
    let about_all = |rule: &DeviceRule| rule.kind == 'a' && rule.read && rule.write && rule.make;
    let first = rules.iter().rposition(about_all).unwrap_or(0);
    let mut kept: Vec<DeviceRule> = Vec::with_capacity(rules.len() - first);
    for rule in rules.into_iter().skip(first) {
        let mut alike = kept
            .iter()
            .rev()
            .take_while(|known| known.allow == rule.allow);
        if alike.all(|known| *known != rule) {
            kept.push(rule);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_decide_nothing_are_left_out() {
        let rule = |line: &str| {
            let (allow, kind, minor) = (&line[..1] == "+", line.as_bytes()[1] as char, &line[2..]);
            DeviceRule {
                allow,
                kind,
                major: minor.parse().ok(),
                minor: None,
                read: true,
                write: true,
                make: true,
            }
        };
        for (given, kept) in [
            ("+c1 -a +c2 -a +c3 +c3", "-a +c3"),
            ("-a +c1 +c2 +c1", "-a +c1 +c2"),
            // What was taken away in between is given again.
            ("-a +c1 -c1 +c1", "-a +c1 -c1 +c1"),
            ("+a -c1 -c1", "+a -c1"),
        ] {
            let read = |text: &str| text.split(' ').map(rule).collect::<Vec<_>>();
            assert_eq!(essential(read(given)), read(kept), "{given}");
        }
    }

    #[test]
    fn devices_are_denied_unless_allowed() {
        let limits = Limits::compile(&Resources::default()).unwrap();
        assert_eq!(limits.devices[0].line(), "a");
        assert!(!limits.devices[0].allow);
        assert!(
            limits
                .devices
                .iter()
                .any(|rule| rule.line() == "c 1:3 rwm" && rule.allow)
        );
        assert!(
            limits
                .devices
                .iter()
                .any(|rule| rule.line() == "c *:* m" && rule.allow)
        );
    }
}
