//! Every field of the create request, and what is done with it. The one table behind "what is not built is refused": a field
//! that is not in it does not pass the test, and a refused one that is set answers 501 with its name.

use serde_json::Value;

use super::refused;
use crate::error::Result;

/// What is done with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Acted on, or refused value by value in `create` and its siblings.
    Acted,
    /// Kept and shown, without effect: as in Docker on Linux.
    Shown,
    /// Refused unless empty or one of these values (as JSON).
    Refused(&'static [&'static str]),
}

use Rule::{Acted, Refused, Shown};

/// Fields beside `HostConfig` and `NetworkingConfig`.
pub const CONFIG: &[(&str, Rule)] = &[
    ("Hostname", Acted),
    ("Domainname", Acted),
    ("User", Acted),
    ("AttachStdin", Acted),
    ("AttachStdout", Acted),
    ("AttachStderr", Acted),
    ("ExposedPorts", Acted),
    ("Tty", Acted),
    ("OpenStdin", Acted),
    ("StdinOnce", Acted),
    ("Env", Acted),
    ("Cmd", Acted),
    ("Healthcheck", Acted), // NONE alone
    ("ArgsEscaped", Shown), // Windows
    ("Image", Acted),
    ("Volumes", Refused(&[])), // anonymous volumes
    ("WorkingDir", Acted),
    ("Entrypoint", Acted),
    ("NetworkDisabled", Refused(&[])),
    ("MacAddress", Acted),
    ("OnBuild", Shown), // for commit
    ("Labels", Acted),
    ("StopSignal", Acted),
    ("StopTimeout", Acted),
    ("Shell", Shown), // for commit and build
];

/// Fields of `HostConfig`.
pub const HOST_CONFIG: &[(&str, Rule)] = &[
    ("Binds", Acted),
    ("ContainerIDFile", Shown), // written by clients
    ("LogConfig", Acted),
    ("NetworkMode", Acted),
    ("PortBindings", Acted),
    ("RestartPolicy", Acted), // "no" alone
    ("AutoRemove", Acted),
    ("VolumeDriver", Refused(&[r#""local""#])),
    ("VolumesFrom", Refused(&[])),
    ("ConsoleSize", Acted),
    ("Annotations", Refused(&[])),
    ("CapAdd", Acted),
    ("CapDrop", Acted),
    ("CgroupnsMode", Acted),
    ("Dns", Acted),
    ("DnsOptions", Acted),
    ("DnsSearch", Acted),
    ("ExtraHosts", Acted),
    ("GroupAdd", Acted),
    ("IpcMode", Acted),
    ("Cgroup", Refused(&[])),
    ("Links", Acted),
    ("OomScoreAdj", Acted),
    ("PidMode", Acted),
    ("Privileged", Acted),
    ("PublishAllPorts", Acted),
    ("ReadonlyRootfs", Acted),
    ("SecurityOpt", Acted),
    ("StorageOpt", Refused(&[])),
    ("Tmpfs", Acted),
    ("UTSMode", Acted),
    ("UsernsMode", Refused(&[r#""host""#])), // there is no remapping: the host's is the only one
    ("ShmSize", Acted),
    ("Sysctls", Acted),
    ("Runtime", Acted),   // our own alone
    ("Isolation", Acted), // "default" alone
    ("CpuShares", Acted),
    ("Memory", Acted),
    ("NanoCpus", Acted),
    ("CgroupParent", Refused(&[])),
    ("BlkioWeight", Refused(&[])),
    ("BlkioWeightDevice", Refused(&[])),
    ("BlkioDeviceReadBps", Refused(&[])),
    ("BlkioDeviceWriteBps", Refused(&[])),
    ("BlkioDeviceReadIOps", Refused(&[])),
    ("BlkioDeviceWriteIOps", Refused(&[])),
    ("CpuPeriod", Acted),
    ("CpuQuota", Acted),
    ("CpuRealtimePeriod", Refused(&[])),
    ("CpuRealtimeRuntime", Refused(&[])),
    ("CpusetCpus", Acted),
    ("CpusetMems", Acted),
    ("Devices", Acted),
    ("DeviceCgroupRules", Acted),
    ("DeviceRequests", Refused(&[])),
    ("KernelMemory", Refused(&[])),
    ("KernelMemoryTCP", Refused(&[])),
    ("MemoryReservation", Acted),
    ("MemorySwap", Acted),
    ("MemorySwappiness", Acted),
    ("OomKillDisable", Acted),
    ("PidsLimit", Acted),
    ("Ulimits", Acted),
    ("CpuCount", Refused(&[])),
    ("CpuPercent", Refused(&[])),
    ("IOMaximumIOps", Refused(&[])),
    ("IOMaximumBandwidth", Refused(&[])),
    ("Mounts", Acted), // binds and tmpfs
    ("MaskedPaths", Acted),
    ("ReadonlyPaths", Acted),
    ("Init", Acted),
];

/// Fails on the first field that is set and not built. `request` is the request as the engine keeps it.
pub fn check(request: &Value) -> Result<()> {
    check_table("", CONFIG, request)?;
    check_table("HostConfig.", HOST_CONFIG, &request["HostConfig"])
}

fn check_table(prefix: &str, table: &[(&str, Rule)], fields: &Value) -> Result<()> {
    for (name, rule) in table {
        let Refused(accepted) = rule else { continue };
        let value = &fields[*name];
        if !is_empty(value) && !accepted.contains(&value.to_string().as_str()) {
            return refused(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

/// Nothing asked: null, zero, false, and lists and objects of such.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

#[cfg(test)]
mod tests;
