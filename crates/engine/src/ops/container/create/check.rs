//! What dockerd checks of a create request beyond its syntax, in its words. Pure but for missing bind sources.

use crate::bundle::clean;
use crate::container::Spec;
use crate::container::spec::{Mount, NetworkMode, Resources, Ulimit};
use crate::host::Host;
use crate::{Error, Result};

/// The least memory that dockerd lets a container have.
const MIN_MEMORY: u64 = 6 << 20;

/// Fails if the request cannot be granted; returns what Docker would warn of.
pub(super) fn check(spec: &Spec, host: &Host) -> Result<Vec<String>> {
    let dir = &spec.working_dir;
    if !dir.is_empty() && !dir.starts_with('/') {
        return refuse(format!(
            "the working directory '{dir}' is invalid, it needs to be an absolute path"
        ));
    }
    if !(-1000..=1000).contains(&spec.oom_score_adj) {
        return refuse(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            spec.oom_score_adj
        ));
    }
    if spec
        .env
        .iter()
        .any(|entry| entry.is_empty() || entry.starts_with('=') || entry.contains('\0'))
    {
        let entry = spec
            .env
            .iter()
            .find(|entry| entry.is_empty() || entry.starts_with('='))
            .cloned();
        return refuse(format!(
            "invalid environment variable: {}",
            entry.unwrap_or_default()
        ));
    }
    if spec.network == NetworkMode::Host
        && !spec.sysctls.keys().all(|name| !name.starts_with("net."))
    {
        let name = spec
            .sysctls
            .keys()
            .find(|name| name.starts_with("net."))
            .cloned()
            .unwrap_or_default();
        return refuse(format!(
            "sysctl '{name}' not allowed in host network namespace"
        ));
    }
    mounts(&spec.mounts)?;
    resources(&spec.resources, host)?;
    let mut warnings = warnings(&spec.resources, host);
    if spec.network == NetworkMode::Host && (spec.publish_all || !spec.ports.is_empty()) {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    Ok(warnings)
}

fn refuse<T>(why: String) -> Result<T> {
    Err(Error::Invalid(why))
}

fn mounts(mounts: &[Mount]) -> Result<()> {
    let mut targets = Vec::new();
    for mount in mounts {
        let target = mount.target();
        if !target.starts_with('/') {
            return refuse(format!(
                "invalid mount config for type \"{}\": invalid mount path: '{target}' mount path must be absolute",
                kind(mount)
            ));
        }
        let target = clean(target);
        if target == "/" {
            return refuse("invalid specification: destination can't be '/'".to_owned());
        }
        if targets.contains(&target) {
            return refuse(format!("Duplicate mount point: {target}"));
        }
        targets.push(target);
        if let Mount::Bind {
            source,
            create_source: false,
            ..
        } = mount
            && !source.exists()
        {
            return refuse(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {}",
                source.display()
            ));
        }
    }
    Ok(())
}

fn kind(mount: &Mount) -> &'static str {
    match mount {
        Mount::Bind { .. } => "bind",
        Mount::Tmpfs { .. } => "tmpfs",
    }
}

fn resources(asked: &Resources, host: &Host) -> Result<()> {
    memory(asked)?;
    if let Some(nanos) = asked.nano_cpus {
        if asked.cpu_period.is_some() {
            return refuse(
                "Conflicting options: Nano CPUs and CPU Period cannot both be set.".to_owned(),
            );
        }
        if asked.cpu_quota.is_some() {
            return refuse(
                "Conflicting options: Nano CPUs and CPU Quota cannot both be set.".to_owned(),
            );
        }
        let cpus = host.cpus as u64;
        if !(10_000_000..=cpus * 1_000_000_000).contains(&nanos) {
            return refuse(format!(
                "range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
            ));
        }
    }
    if asked
        .cpu_period
        .is_some_and(|period| !(1000..=1_000_000).contains(&period))
    {
        return refuse(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
                .to_owned(),
        );
    }
    if asked
        .cpu_quota
        .is_some_and(|quota| (0..1000).contains(&quota))
    {
        return refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)".to_owned());
    }
    for (what, set) in [("cpus", &asked.cpuset_cpus), ("mems", &asked.cpuset_mems)] {
        if let Some(set) = set
            && !is_set(set)
        {
            return refuse(format!("Invalid value {set} for cpuset {what}"));
        }
    }
    if let Some(set) = &asked.cpuset_cpus {
        let highest = set
            .split([',', '-'])
            .filter_map(|number| number.parse::<usize>().ok())
            .max();
        if highest.is_some_and(|highest| highest >= host.cpus) {
            let available = if host.cpus == 1 {
                "0".to_owned()
            } else {
                format!("0-{}", host.cpus - 1)
            };
            return refuse(format!(
                "Requested CPUs are not available - requested {set}, available: {available}"
            ));
        }
    }
    for limit in &asked.ulimits {
        if sys::rlimit::by_name(&format!("RLIMIT_{}", limit.name.to_uppercase())).is_none() {
            return refuse(format!("invalid ulimit type: {}", limit.name));
        }
        if limit.hard >= 0 && (limit.soft > limit.hard || limit.soft < 0) {
            return refuse(format!(
                "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                limit.soft, limit.hard
            ));
        }
    }
    Ok(())
}

fn memory(asked: &Resources) -> Result<()> {
    if asked.memory.is_some_and(|memory| memory < MIN_MEMORY) {
        return refuse("Minimum memory limit allowed is 6MB".to_owned());
    }
    match (asked.memory, asked.memory_swap) {
        (None, Some(swap)) if swap > 0 => {
            return refuse(
                "You should always set the Memory limit when using Memoryswap limit, see usage"
                    .to_owned(),
            );
        }
        (Some(memory), Some(swap)) if u64::try_from(swap).is_ok_and(|swap| swap < memory) => {
            return refuse(
                "Minimum memoryswap limit should be larger than memory limit, see usage".to_owned(),
            );
        }
        _ => {}
    }
    if asked.memory_swappiness.is_some_and(|value| value > 100) {
        let value = asked.memory_swappiness.unwrap_or_default();
        return refuse(format!(
            "invalid value: {value}, valid memory swappiness range is 0-100"
        ));
    }
    match (asked.memory, asked.memory_reservation) {
        (_, Some(reservation)) if reservation < MIN_MEMORY => {
            refuse("Minimum memory reservation allowed is 6MB".to_owned())
        }
        (Some(memory), Some(reservation)) if memory < reservation => refuse(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

/// `0-2,4`.
fn is_set(set: &str) -> bool {
    set.split(',').all(|range| match range.split_once('-') {
        Some((from, to)) => {
            matches!((from.parse::<u32>(), to.parse::<u32>()), (Ok(from), Ok(to)) if from <= to && to < 8192)
        }
        None => range.parse::<u32>().is_ok_and(|cpu| cpu < 8192),
    })
}

fn warnings(asked: &Resources, host: &Host) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |missing: bool, what: &str| {
        if missing {
            warnings.push(format!(
                "Your kernel does not support {what} or the cgroup is not mounted. Limitation discarded."
            ));
        }
    };
    warn(
        asked.memory.is_some() && !host.controls("memory"),
        "memory limit capabilities",
    );
    warn(
        asked.pids_limit.is_some_and(|limit| limit > 0) && !host.controls("pids"),
        "PIDs limit capabilities",
    );
    let quota =
        asked.nano_cpus.is_some() || asked.cpu_quota.is_some() || asked.cpu_period.is_some();
    warn(quota && !host.controls("cpu"), "CPU CFS scheduler");
    warn(
        asked.cpu_shares.is_some() && !host.controls("cpu"),
        "CPU shares",
    );
    let cpuset = asked.cpuset_cpus.is_some() || asked.cpuset_mems.is_some();
    warn(cpuset && !host.controls("cpuset"), "cpuset");
    if asked.oom_kill_disable && host.cgroup_version() == 2 {
        warnings.push(
            "Your kernel does not support OomKillDisable. OomKillDisable discarded.".to_owned(),
        );
    }
    let may_raise =
        sys::caps::by_name("CAP_SYS_RESOURCE").is_some_and(|bit| host.capabilities & bit != 0);
    if !may_raise {
        warnings.extend(asked.ulimits.iter().filter_map(cut));
    }
    warnings
}

/// A limit above what this daemon may give: its containers get what it has.
fn cut(asked: &Ulimit) -> Option<String> {
    let number = sys::rlimit::by_name(&asked.name)?;
    let (_, allowed) = sys::rlimit::get(number).ok()?;
    let wanted = u64::try_from(asked.hard).unwrap_or(u64::MAX);
    (wanted > allowed).then(|| {
        format!(
            "The daemon may not raise the limit {} above {allowed} (it has no CAP_SYS_RESOURCE). Limit cut to {allowed}.",
            asked.name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(resources: Resources) -> String {
        let host = Host {
            cpus: 2,
            ..Host::default()
        };
        check(
            &Spec {
                resources,
                ..Spec::default()
            },
            &host,
        )
        .map_or_else(|error| error.to_string(), |_| "ok".into())
    }

    #[test]
    fn limits_out_of_range_are_refused_in_dockers_words() {
        let none = Resources::default;
        for (resources, expect) in [
            (none(), "ok"),
            (
                Resources {
                    memory: Some(1 << 20),
                    ..none()
                },
                "Minimum memory limit allowed is 6MB",
            ),
            (
                Resources {
                    memory: Some(64 << 20),
                    memory_swap: Some(1),
                    ..none()
                },
                "Minimum memoryswap limit should be larger than memory limit, see usage",
            ),
            (
                Resources {
                    nano_cpus: Some(3_000_000_000),
                    ..none()
                },
                "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            ),
            (
                Resources {
                    cpuset_cpus: Some("7".into()),
                    ..none()
                },
                "Requested CPUs are not available - requested 7, available: 0-1",
            ),
            (
                Resources {
                    cpuset_cpus: Some("x".into()),
                    ..none()
                },
                "Invalid value x for cpuset cpus",
            ),
        ] {
            assert_eq!(said(resources), expect);
        }
    }

    #[test]
    fn missing_bind_sources_and_relative_targets_are_refused() {
        let bind = |source: &str, target: &str| Mount::Bind {
            source: source.into(),
            target: target.into(),
            read_only: false,
            recursive_read_only: false,
            create_source: false,
            non_recursive: false,
            propagation: crate::container::spec::Propagation::default(),
        };
        for (mount, expect) in [
            (
                bind("/nope", "/x"),
                "invalid mount config for type \"bind\": bind source path does not exist: /nope",
            ),
            (
                bind("/", "x"),
                "invalid mount config for type \"bind\": invalid mount path: 'x' mount path must be absolute",
            ),
        ] {
            assert_eq!(mounts(&[mount]).unwrap_err().to_string(), expect);
        }
    }
}
