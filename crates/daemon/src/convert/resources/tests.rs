//! Limits in Docker's order and words.

use api::host_config::HostConfig;
use engine::container::spec::{DeviceRule, Resources};
use serde_json::{Value, json};

use super::convert;

fn resources(host: &Value) -> Result<Resources, String> {
    let host: HostConfig = api::fold::from_value(host.clone()).unwrap();
    convert(&host, &mut Vec::new()).map_err(|error| error.to_string())
}

#[test]
fn nothing_asked_is_nothing_limited() {
    assert_eq!(resources(&json!({})), Ok(Resources::default()));
}

#[test]
fn limits_are_converted() {
    let host = json!({ "Memory": 8 << 20, "MemorySwap": -1, "CpuShares": 1, "CpusetCpus": "0-1,3", "NanoCpus": 500_000_000,
        "Ulimits": [{ "Name": "nofile", "Soft": 5, "Hard": -1 }], "DeviceCgroupRules": ["c 1:* rw"],
        "Devices": [{ "PathOnHost": "/dev/fuse" }] });
    let resources = resources(&host).unwrap();
    assert_eq!(
        (
            resources.memory,
            resources.memory_swap,
            resources.cpu_shares
        ),
        (Some(8 << 20), Some(-1), Some(2))
    );
    assert_eq!(resources.devices[0].container, "/dev/fuse");
    assert_eq!(resources.devices[0].permissions, "rwm");
    assert_eq!(
        resources.device_cgroup_rules,
        [DeviceRule {
            kind: 'c',
            major: Some(1),
            minor: None,
            access: "rw".to_owned()
        }]
    );
}

#[test]
fn wrong_limits_are_told_in_dockers_words() {
    let check = |host: Value, why: &str| assert_eq!(resources(&host).unwrap_err(), why);
    check(
        json!({ "Memory": 1000 }),
        "Minimum memory limit allowed is 6MB",
    );
    check(
        json!({ "Memory": 8 << 20, "MemorySwap": 1 }),
        "Minimum memoryswap limit should be larger than memory limit, see usage",
    );
    check(
        json!({ "MemorySwap": 1 }),
        "You should always set the Memory limit when using Memoryswap limit, see usage",
    );
    check(
        json!({ "MemorySwappiness": 101 }),
        "Invalid value: 101, valid memory swappiness range is 0-100",
    );
    check(
        json!({ "Memory": 8 << 20, "MemoryReservation": 9 << 20 }),
        "Minimum memory limit can not be less than memory reservation limit, see usage",
    );
    check(
        json!({ "NanoCpus": 1, "CpuPeriod": 1000 }),
        "Conflicting options: Nano CPUs and CPU Period cannot both be set",
    );
    let many = resources(&json!({ "NanoCpus": 9_000_000_000_000_i64 })).unwrap_err();
    assert!(
        many.starts_with("range of CPUs is from 0.01 to ") && many.ends_with(" CPUs available"),
        "{many}"
    );
    check(
        json!({ "CpuQuota": 1 }),
        "CPU cfs quota can not be less than 1ms (i.e. 1000)",
    );
    check(
        json!({ "CpuPeriod": 1 }),
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    );
    check(
        json!({ "CpusetCpus": "a" }),
        "Invalid value a for cpuset cpus",
    );
    check(
        json!({ "Ulimits": [{ "Name": "x" }] }),
        "invalid ulimit type: x",
    );
    check(
        json!({ "DeviceCgroupRules": ["x"] }),
        "invalid device cgroup rule format: 'x'",
    );
    check(
        json!({ "Devices": [{ "PathOnHost": "/dev/fuse", "CgroupPermissions": "x" }] }),
        "invalid device mode: x",
    );
}
