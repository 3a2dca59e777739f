//! The half of the request that is about this host: resources, namespaces, logs, the network.

use std::collections::BTreeMap;

use api::host_config::{HostConfig, LogConfig, RestartPolicy};
use api::network::{EndpointIpamConfig, EndpointSettings, NetworkingConfig};

use super::{device, mount, non_empty, pairs, security, ulimit};
use crate::env::Env;
use crate::flags::Given;
use crate::report::Failure;
use crate::values;

/// Builds everything but binds and ports.
pub(crate) fn build(env: &Env, given: &Given) -> Result<HostConfig, Failure> {
    check_modes(given)?;
    let security = security::parse(env, given)?;
    let restart_policy = restart_policy(given.get("restart").unwrap_or("no"))?;
    if given.is("rm") && restart_policy.name != "no" {
        return Err(Failure::new(
            "conflicting options: cannot specify both --restart and --rm",
        ));
    }
    let (devices, device_requests) = device::parse_all(given)?;
    let mut config = HostConfig {
        container_id_file: given.text("cidfile"),
        log_config: log_config(given)?,
        restart_policy,
        auto_remove: given.is("rm"),
        volume_driver: given.text("volume-driver"),
        volumes_from: non_empty(given.list("volumes-from")),
        annotations: pairs(&given.list("annotation")),
        cap_add: non_empty(given.list("cap-add")),
        cap_drop: non_empty(given.list("cap-drop")),
        cgroupns_mode: given.text("cgroupns"),
        dns: Some(given.list("dns")),
        dns_options: Some(given.list("dns-option")),
        dns_search: Some(given.list("dns-search")),
        extra_hosts: extra_hosts(given)?,
        group_add: non_empty(given.list("group-add")),
        ipc_mode: given.text("ipc"),
        links: non_empty(given.list("link")),
        oom_score_adj: given.number("oom-score-adj").unwrap_or(0),
        pid_mode: given.text("pid"),
        privileged: given.is("privileged"),
        publish_all_ports: given.is("publish-all"),
        readonly_rootfs: given.is("read-only"),
        security_opt: non_empty(security.options),
        masked_paths: security.unconfined_paths.then(Vec::new),
        readonly_paths: security.unconfined_paths.then(Vec::new),
        storage_opt: pairs(&given.list("storage-opt")),
        tmpfs: tmpfs(given),
        uts_mode: given.text("uts"),
        userns_mode: given.text("userns"),
        shm_size: given.bytes("shm-size").unwrap_or(0),
        sysctls: pairs(&given.list("sysctl")),
        runtime: given.text("runtime"),
        isolation: given.text("isolation"),
        devices: Some(devices).filter(|devices| !devices.is_empty()),
        device_cgroup_rules: non_empty(given.list("device-cgroup-rule")),
        device_requests: Some(device_requests).filter(|requests| !requests.is_empty()),
        mounts: mount::parse_all(env, given)?,
        init: given.has("init").then(|| given.is("init")),
        ..HostConfig::default()
    };
    resources(&mut config, given)?;
    Ok(config)
}

fn resources(config: &mut HostConfig, given: &Given) -> Result<(), Failure> {
    let number = |name: &str| given.number(name).unwrap_or(0);
    let bytes = |name: &str| given.bytes(name).unwrap_or(0);
    config.cpu_shares = number("cpu-shares");
    config.memory = bytes("memory");
    config.nano_cpus = given
        .get("cpus")
        .map_or(Ok(0), values::nano_cpus)
        .map_err(Failure::new)?;
    config.cgroup_parent = given.text("cgroup-parent");
    config.blkio_weight = u16::try_from(number("blkio-weight")).unwrap_or(0);
    config.blkio_weight_device = device::weights(given)?;
    config.blkio_device_read_bps = device::throttles(given, "device-read-bps")?;
    config.blkio_device_write_bps = device::throttles(given, "device-write-bps")?;
    config.blkio_device_read_iops = device::throttles(given, "device-read-iops")?;
    config.blkio_device_write_iops = device::throttles(given, "device-write-iops")?;
    config.cpu_period = number("cpu-period");
    config.cpu_quota = number("cpu-quota");
    config.cpu_realtime_period = number("cpu-rt-period");
    config.cpu_realtime_runtime = number("cpu-rt-runtime");
    config.cpuset_cpus = given.text("cpuset-cpus");
    config.cpuset_mems = given.text("cpuset-mems");
    config.kernel_memory = bytes("kernel-memory");
    config.memory_reservation = bytes("memory-reservation");
    config.memory_swap = bytes("memory-swap");
    config.memory_swappiness = given.number("memory-swappiness");
    config.oom_kill_disable = Some(given.is("oom-kill-disable"));
    config.pids_limit = given.number("pids-limit");
    config.cpu_count = number("cpu-count");
    config.cpu_percent = number("cpu-percent");
    config.io_maximum_iops = u64::try_from(number("io-maxiops")).unwrap_or(0);
    config.io_maximum_bandwidth = u64::try_from(bytes("io-maxbandwidth")).unwrap_or(0);
    let limits = given.list("ulimit");
    let limits: Result<Vec<_>, String> = limits.iter().map(|limit| ulimit::parse(limit)).collect();
    config.ulimits = Some(limits.map_err(Failure::new)?).filter(|limits| !limits.is_empty());
    Ok(())
}

fn check_modes(given: &Given) -> Result<(), Failure> {
    let container = |mode: &str| {
        mode.strip_prefix("container:")
            .is_some_and(|name| !name.is_empty())
    };
    let checks: [(&str, &str, bool); 4] = [
        ("pid", "PID", true),
        ("uts", "UTS", false),
        ("userns", "USER", false),
        ("cgroupns", "CGROUP", false),
    ];
    for (flag, label, joins) in checks {
        let mode = given.get(flag).unwrap_or_default();
        let valid = ["", "host"].contains(&mode)
            || (joins && container(mode))
            || (flag == "cgroupns" && mode == "private");
        if !valid {
            return Err(Failure::new(format!("--{flag}: invalid {label} mode")));
        }
    }
    Ok(())
}

/// `no`, `always`, `unless-stopped`, `on-failure[:retries]`.
fn restart_policy(text: &str) -> Result<RestartPolicy, Failure> {
    let (name, count) = text
        .split_once(':')
        .map_or((text, None), |(name, count)| (name, Some(count)));
    if name.is_empty() && count.is_some() {
        return Err(Failure::new(
            "invalid restart policy format: no policy provided before colon",
        ));
    }
    let maximum_retry_count = match count {
        None => 0,
        Some(count) if count.contains(':') => {
            return Err(Failure::new(
                "invalid restart policy format: maximum retry count must be an integer",
            ));
        }
        Some(count) => count.parse().map_err(|_| {
            Failure::new("invalid restart policy format: maximum retry count must be an integer")
        })?,
    };
    Ok(RestartPolicy {
        name: name.to_owned(),
        maximum_retry_count,
    })
}

fn log_config(given: &Given) -> Result<LogConfig, Failure> {
    let kind = given.text("log-driver");
    let options = given.list("log-opt");
    if kind == "none" && !options.is_empty() {
        return Err(Failure::new(format!(
            "invalid logging opts for driver {kind}"
        )));
    }
    Ok(LogConfig {
        kind,
        config: Some(pairs(&options)),
    })
}

fn tmpfs(given: &Given) -> BTreeMap<String, String> {
    let split = |mount: String| match mount.split_once(':') {
        Some((path, options)) => (path.to_owned(), options.to_owned()),
        None => (mount, String::new()),
    };
    given.list("tmpfs").into_iter().map(split).collect()
}

fn extra_hosts(given: &Given) -> Result<Option<Vec<String>>, Failure> {
    let hosts: Result<Vec<String>, String> = given
        .list("add-host")
        .iter()
        .map(|host| super::extra_host(host))
        .collect();
    Ok(non_empty(hosts.map_err(Failure::new)?))
}

/// The network mode, and the endpoint's settings where any were asked for.
pub(crate) fn networking(
    given: &Given,
    config: &mut HostConfig,
) -> Result<Option<NetworkingConfig>, Failure> {
    let networks = given.list("network");
    let mut endpoints = BTreeMap::new();
    for (index, text) in networks.iter().enumerate() {
        let (name, settings) = attachment(text)?;
        if index == 0 {
            config.network_mode.clone_from(&name);
        }
        endpoints.insert(name, Some(settings));
    }
    if networks.is_empty() {
        "default".clone_into(&mut config.network_mode);
    }
    if given.has("network-alias")
        || given.has("ip")
        || given.has("ip6")
        || given.has("link-local-ip")
        || given.has("mac-address")
    {
        let first = endpoints
            .entry(config.network_mode.clone())
            .or_insert_with(|| Some(EndpointSettings::default()));
        let settings = first.get_or_insert_default();
        settings.aliases = non_empty(given.list("network-alias"));
        settings.mac_address = given.text("mac-address");
        settings.ipam_config = Some(EndpointIpamConfig {
            ipv4_address: given.text("ip"),
            ipv6_address: given.text("ip6"),
            link_local_ips: non_empty(given.list("link-local-ip")),
        })
        .filter(|config| *config != EndpointIpamConfig::default());
    }
    endpoints
        .retain(|_, settings| *settings != Some(EndpointSettings::default()) || networks.len() > 1);
    Ok(Some(NetworkingConfig {
        endpoints_config: Some(endpoints),
    })
    .filter(|config| {
        config
            .endpoints_config
            .as_ref()
            .is_some_and(|map| !map.is_empty())
    }))
}

/// The endpoint that `network connect` asks for.
pub(crate) fn endpoint(given: &Given) -> Result<EndpointSettings, Failure> {
    let ipam = EndpointIpamConfig {
        ipv4_address: given.text("ip"),
        ipv6_address: given.text("ip6"),
        link_local_ips: non_empty(given.list("link-local-ip")),
    };
    let options = given.list("driver-opt");
    if options.iter().any(|option| !option.contains('=')) {
        return Err(Failure::new(
            "invalid key/value pair format in driver options",
        ));
    }
    Ok(EndpointSettings {
        ipam_config: Some(ipam),
        links: non_empty(given.list("link")),
        aliases: non_empty(given.list("alias")),
        driver_opts: Some(pairs(&options)).filter(|options| !options.is_empty()),
        gw_priority: given.number("gw-priority").unwrap_or(0),
        ..EndpointSettings::default()
    })
}

/// `--network NAME` or `--network name=NAME,alias=…,ip=…`.
fn attachment(text: &str) -> Result<(String, EndpointSettings), Failure> {
    let mut settings = EndpointSettings::default();
    if !text.contains('=') {
        if text.is_empty() {
            return Err(Failure::new("no name set for network"));
        }
        return Ok((text.to_owned(), settings));
    }
    let mut name = String::new();
    let mut ipam = EndpointIpamConfig::default();
    for field in text.split(',') {
        let (key, value) = field.split_once('=').ok_or_else(|| {
            Failure::new(format!("invalid field '{field}' must be a key=value pair"))
        })?;
        match key.trim().to_ascii_lowercase().as_str() {
            "name" => value.clone_into(&mut name),
            "alias" => settings
                .aliases
                .get_or_insert_default()
                .push(value.to_owned()),
            "ip" => value.clone_into(&mut ipam.ipv4_address),
            "ip6" => value.clone_into(&mut ipam.ipv6_address),
            "link-local-ip" => ipam
                .link_local_ips
                .get_or_insert_default()
                .push(value.to_owned()),
            "mac-address" => value.clone_into(&mut settings.mac_address),
            "driver-opt" => {
                let (key, value) = value.split_once('=').ok_or_else(|| {
                    Failure::new("invalid key value pair format in driver options")
                })?;
                settings
                    .driver_opts
                    .get_or_insert_default()
                    .insert(key.to_owned(), value.to_owned());
            }
            "gw-priority" => {
                settings.gw_priority = value
                    .parse()
                    .map_err(|_| Failure::new(format!("invalid gw-priority: {value}")))?;
            }
            other => return Err(Failure::new(format!("invalid field key {other}"))),
        }
    }
    if ipam != EndpointIpamConfig::default() {
        settings.ipam_config = Some(ipam);
    }
    if name.is_empty() {
        return Err(Failure::new("no name set for network"));
    }
    Ok((name, settings))
}
