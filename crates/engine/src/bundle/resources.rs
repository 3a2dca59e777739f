//! Limits, and rules on devices.

use oci::runtime::{Cpu, DeviceRule, Memory, Pids, Resources};

use super::{Facts, Granted};

/// Docker's period for a number of CPUs.
const PERIOD: u64 = 100_000;

/// All limits of a container.
pub(super) fn all(facts: &Facts<'_>) -> Resources {
    let asked = &facts.record.spec.resources;
    Resources {
        devices: device_rules(facts),
        memory: memory(asked),
        cpu: cpu(asked),
        pids: asked
            .pids_limit
            .filter(|limit| *limit != 0)
            .map(|limit| Pids { limit }),
        ..Resources::default()
    }
}

fn memory(asked: &crate::container::spec::Resources) -> Option<Memory> {
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let limit = asked.memory.map(signed);
    let memory = Memory {
        limit,
        reservation: asked.memory_reservation.map(signed),
        // Docker's rule: as much swap as memory, unless something else was asked for.
        swap: asked
            .memory_swap
            .or_else(|| limit.map(|limit| limit.saturating_mul(2))),
        swappiness: asked.memory_swappiness,
        disable_oom_killer: asked.oom_kill_disable.then_some(true),
        ..Memory::default()
    };
    (memory != Memory::default()).then_some(memory)
}

fn cpu(asked: &crate::container::spec::Resources) -> Option<Cpu> {
    let mut cpu = Cpu {
        shares: asked.cpu_shares,
        quota: asked.cpu_quota,
        period: asked.cpu_period,
        cpus: asked.cpuset_cpus.clone().unwrap_or_default(),
        mems: asked.cpuset_mems.clone().unwrap_or_default(),
        ..Cpu::default()
    };
    if let Some(nanos) = asked.nano_cpus {
        cpu.period = Some(PERIOD);
        cpu.quota = i64::try_from(nanos.saturating_mul(PERIOD) / 1_000_000_000).ok();
    }
    (cpu != Cpu::default()).then_some(cpu)
}

/// Everything denied, then what Docker allows, then what was asked for. The runtime adds the default devices.
fn device_rules(facts: &Facts<'_>) -> Vec<DeviceRule> {
    let spec = &facts.record.spec;
    if spec.privileged {
        return vec![DeviceRule {
            allow: true,
            access: "rwm".to_owned(),
            ..DeviceRule::default()
        }];
    }
    let mut rules = vec![DeviceRule {
        allow: false,
        access: "rwm".to_owned(),
        ..DeviceRule::default()
    }];
    let allow = |kind: &str, major, minor, access: &str| DeviceRule {
        allow: true,
        kind: kind.to_owned(),
        major,
        minor,
        access: access.to_owned(),
    };
    for (major, minor) in [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)] {
        rules.push(allow("c", Some(major), Some(minor), "rwm"));
    }
    for Granted { device, access } in &facts.devices {
        rules.push(allow(
            &device.kind,
            Some(device.major),
            Some(device.minor),
            access,
        ));
    }
    for rule in &spec.resources.device_cgroup_rules {
        rules.push(allow(
            &rule.kind.to_string(),
            rule.major,
            rule.minor,
            &rule.access,
        ));
    }
    rules
}
