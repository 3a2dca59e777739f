//! Limits and devices, checked in Docker's order and words.

use std::path::PathBuf;

use api::host_config::{HostConfig, ULIMITS};
use engine::container::spec::{Device, DeviceRule, Resources, Ulimit};

use super::invalid;
use crate::error::{Error, Result};

/// Docker's smallest limit of memory.
const MINIMUM_MEMORY: i64 = 6 << 20;
/// Weights that the kernel accepts.
const SHARES: std::ops::RangeInclusive<i64> = 2..=262_144;
/// Limits and devices of a request.
pub fn convert(host: &HostConfig, warnings: &mut Vec<String>) -> Result<Resources> {
    memory(host)?;
    cpu(host)?;
    if host.oom_kill_disable == Some(true) && host.memory == 0 {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running \
             out of resources."
                .to_owned(),
        );
    }
    Ok(Resources {
        memory: positive(host.memory),
        memory_swap: (host.memory_swap != 0).then_some(host.memory_swap),
        memory_reservation: positive(host.memory_reservation),
        memory_swappiness: host
            .memory_swappiness
            .and_then(|value| u64::try_from(value).ok()),
        oom_kill_disable: host.oom_kill_disable.unwrap_or(false),
        nano_cpus: positive(host.nano_cpus),
        cpu_quota: (host.cpu_quota != 0).then_some(host.cpu_quota),
        cpu_period: positive(host.cpu_period),
        cpu_shares: (host.cpu_shares != 0).then(|| {
            host.cpu_shares
                .clamp(*SHARES.start(), *SHARES.end())
                .cast_unsigned()
        }),
        cpuset_cpus: set(&host.cpuset_cpus, "cpus")?,
        cpuset_mems: set(&host.cpuset_mems, "mems")?,
        pids_limit: host.pids_limit,
        ulimits: ulimits(host)?,
        devices: devices(host)?,
        device_cgroup_rules: host
            .device_cgroup_rules
            .iter()
            .flatten()
            .map(|text| rule(text))
            .collect::<Result<_>>()?,
    })
}

fn positive(value: i64) -> Option<u64> {
    u64::try_from(value).ok().filter(|value| *value > 0)
}

fn memory(host: &HostConfig) -> Result<()> {
    let (memory, swap, reservation) = (host.memory, host.memory_swap, host.memory_reservation);
    if memory != 0 && memory < MINIMUM_MEMORY {
        return invalid("Minimum memory limit allowed is 6MB");
    }
    if memory > 0 && swap > 0 && swap < memory {
        return invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if memory == 0 && swap > 0 {
        return invalid(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        );
    }
    if let Some(value) = host.memory_swappiness
        && !(0..=100).contains(&value)
    {
        return invalid(format!(
            "Invalid value: {value}, valid memory swappiness range is 0-100"
        ));
    }
    if reservation != 0 && reservation < MINIMUM_MEMORY {
        return invalid("Minimum memory reservation allowed is 6MB");
    }
    if memory > 0 && reservation > 0 && memory < reservation {
        return invalid(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        );
    }
    Ok(())
}

fn cpu(host: &HostConfig) -> Result<()> {
    if host.nano_cpus > 0 && host.cpu_period > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if host.nano_cpus > 0 && host.cpu_quota > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    if host.nano_cpus != 0 {
        check_nano_cpus(host.nano_cpus)?;
    }
    if host.cpu_period != 0 && !(1_000..=1_000_000).contains(&host.cpu_period) {
        return invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if (1..1_000).contains(&host.cpu_quota) {
        return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    Ok(())
}

/// How many processors there are is read from files: only for who asks for some.
fn check_nano_cpus(nano_cpus: i64) -> Result<()> {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let most = i64::try_from(count)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000_000);
    if nano_cpus < 0 || nano_cpus > most {
        return invalid(format!(
            "range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        ));
    }
    Ok(())
}

/// `0-2,4`.
fn set(text: &str, what: &str) -> Result<Option<String>> {
    if text.is_empty() {
        return Ok(None);
    }
    let range = |part: &str| match part.split_once('-') {
        Some((from, to)) => {
            matches!((from.parse::<u32>(), to.parse::<u32>()), (Ok(from), Ok(to)) if from <= to)
        }
        None => part.parse::<u32>().is_ok(),
    };
    if text.split(',').all(range) {
        return Ok(Some(text.to_owned()));
    }
    invalid(format!("Invalid value {text} for cpuset {what}"))
}

fn ulimits(host: &HostConfig) -> Result<Vec<Ulimit>> {
    let convert = |limit: &api::host_config::Ulimit| {
        if !ULIMITS.contains(&limit.name.as_str()) {
            return invalid(format!("invalid ulimit type: {}", limit.name));
        }
        if limit.hard >= 0 && (limit.soft > limit.hard || limit.soft < 0) {
            return invalid(format!(
                "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                limit.soft, limit.hard
            ));
        }
        Ok(Ulimit {
            name: limit.name.clone(),
            soft: limit.soft,
            hard: limit.hard,
        })
    };
    host.ulimits.iter().flatten().map(convert).collect()
}

fn devices(host: &HostConfig) -> Result<Vec<Device>> {
    let convert = |device: &api::host_config::DeviceMapping| {
        let permissions = if device.cgroup_permissions.is_empty() {
            "rwm"
        } else {
            &device.cgroup_permissions
        };
        if permissions.bytes().any(|byte| !b"rwm".contains(&byte)) {
            return invalid(format!("invalid device mode: {permissions}"));
        }
        let inside = if device.path_in_container.is_empty() {
            &device.path_on_host
        } else {
            &device.path_in_container
        };
        Ok(Device {
            host: PathBuf::from(&device.path_on_host),
            container: inside.clone(),
            permissions: permissions.to_owned(),
        })
    };
    host.devices.iter().flatten().map(convert).collect()
}

/// `c 1:3 rwm`, with `*` for any number.
fn rule(text: &str) -> Result<DeviceRule> {
    parse_rule(text)
        .ok_or_else(|| Error::Invalid(format!("invalid device cgroup rule format: '{text}'")))
}

fn parse_rule(text: &str) -> Option<DeviceRule> {
    let mut words = text.split(' ');
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    let (major, minor) = numbers.split_once(':')?;
    let number = |text: &str| match text {
        "*" => Some(None),
        digits => digits
            .parse::<u32>()
            .ok()
            .map(|number| Some(i64::from(number))),
    };
    let valid = words.next().is_none()
        && matches!(kind, "a" | "b" | "c")
        && (1..=3).contains(&access.len())
        && access.bytes().all(|byte| b"rwm".contains(&byte));
    valid.then_some(DeviceRule {
        kind: kind.chars().next()?,
        major: number(major)?,
        minor: number(minor)?,
        access: access.to_owned(),
    })
}

#[cfg(test)]
mod tests;
