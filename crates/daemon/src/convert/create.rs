//! `POST /containers/create`: the wire's request to a validated spec.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use api::config::Config;
use api::container::CreateRequest;
use api::host_config::HostConfig;
use api::version::ApiVersion;
use engine::container::ContainerName;
use engine::container::spec::{AttachStreams, CgroupNamespace, Dns, NetworkMode, Spec};
use engine::ops::container::create::Create;
use network::Settings;

use super::{
    fields, invalid, log_config, mounts, networks, ports, refused, resources, security, signal,
};
use crate::error::{Error, Result};

/// The name of the built-in runtime.
pub const RUNTIME: &str = "corten";

/// A request, and what is to be told beside the answer.
#[derive(Debug)]
pub struct Converted {
    /// For the engine.
    pub request: Create,
    /// For the client.
    pub warnings: Vec<String>,
}

/// Decodes, checks and converts. `gateway` is the bridge's address, if there is a bridge.
pub fn request(
    name: &str,
    body: &[u8],
    version: ApiVersion,
    gateway: Option<Ipv4Addr>,
) -> Result<Converted> {
    let mut wire = api::fold::create_request(body)
        .map_err(|error| Error::Invalid(format!("invalid JSON: {error}")))?;
    if wire == CreateRequest::default() {
        return invalid("config cannot be empty in order to create a container");
    }
    if !name.is_empty() {
        name.parse::<ContainerName>()?;
    }
    adapt(&mut wire, version);
    let request = serde_json::to_value(&wire)
        .map_err(|error| Error::Internal(format!("keep request: {error}")))?;
    fields::check(&request)?;
    let mut warnings = Vec::new();
    let mut spec = spec(&wire, version, &mut warnings)?;
    resolve_host_gateway(&mut spec.extra_hosts, gateway)?;
    let name = (!name.is_empty()).then(|| name.to_owned());
    Ok(Converted {
        request: Create {
            name,
            spec,
            platform: None,
            request,
        },
        warnings,
    })
}

/// What older clients send for "nothing", and what the daemon fills in before it looks.
fn adapt(wire: &mut CreateRequest, version: ApiVersion) {
    let host = wire.host_config.get_or_insert_default();
    if !version.at_least(42) {
        (host.kernel_memory, host.kernel_memory_tcp) = (0, 0);
        host.console_size = [0, 0];
    }
    if !version.at_least(43) {
        host.annotations.clear();
    }
    if host.memory_swappiness == Some(-1) {
        host.memory_swappiness = None;
    }
    if !version.at_least(40) {
        "host".clone_into(&mut host.cgroupns_mode);
    }
    host.pids_limit = host.pids_limit.filter(|limit| *limit > 0);
}

fn spec(wire: &CreateRequest, version: ApiVersion, warnings: &mut Vec<String>) -> Result<Spec> {
    let (config, default) = (&wire.config, HostConfig::default());
    let host = wire.host_config.as_ref().unwrap_or(&default);
    check_config(config)?;
    check_host(config, host)?;
    let network = network_mode(&host.network_mode)?;
    check_network(config, host, &network)?;
    let (endpoints, links) = endpoints(wire, host, &network)?;
    Ok(Spec {
        image: config.image.clone(),
        entrypoint: config.entrypoint.clone(),
        command: config.cmd.clone(),
        env: config.env.clone().unwrap_or_default(),
        labels: config.labels.clone().unwrap_or_default(),
        user: config.user.clone(),
        working_dir: config.working_dir.clone(),
        hostname: config.hostname.clone(),
        domainname: config.domainname.clone(),
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        attach: AttachStreams {
            stdin: config.attach_stdin,
            stdout: config.attach_stdout,
            stderr: config.attach_stderr,
        },
        stop_signal: signal(&config.stop_signal)?,
        stop_timeout: config.stop_timeout,
        console_size: console_size(Some(host.console_size))?,
        mounts: mounts::convert(host, version)?,
        network,
        endpoints,
        links,
        ports: ports::requests(host)?,
        publish_all: host.publish_all_ports,
        exposed: ports::exposed(config.exposed_ports.keys())?,
        extra_hosts: extra_hosts(host)?,
        dns: dns(host)?,
        resources: resources::convert(host, warnings)?,
        capabilities: security::capabilities(host)?,
        privileged: host.privileged,
        security: security::options(host)?,
        read_only: host.readonly_rootfs,
        init: host.init.unwrap_or(false),
        group_add: host.group_add.clone().unwrap_or_default(),
        shm_size: shm_size(host.shm_size)?,
        oom_score_adj: oom_score_adj(host.oom_score_adj)?,
        auto_remove: host.auto_remove,
        log: log_config::convert(&host.log_config)?,
        masked_paths: host.masked_paths.clone(),
        readonly_paths: host.readonly_paths.clone(),
        sysctls: host.sysctls.clone(),
        host_pid: shared_with_host("PidMode", "PID", &host.pid_mode, &[""])?,
        host_ipc: shared_with_host(
            "IpcMode",
            "IPC",
            &host.ipc_mode,
            &["", "private", "shareable"],
        )?,
        host_uts: shared_with_host("UTSMode", "UTS", &host.uts_mode, &[""])?,
        cgroup_namespace: cgroup_namespace(&host.cgroupns_mode)?,
    })
}

fn check_config(config: &Config) -> Result<()> {
    check_working_dir(&config.working_dir)?;
    check_env(config.env.as_deref().unwrap_or_default())?;
    if let Some(health) = &config.healthcheck {
        let none = health.test.is_empty() || health.test == ["NONE"];
        let times = (
            health.interval,
            health.timeout,
            health.start_period,
            health.start_interval,
            health.retries,
        );
        if !none || times != (0, 0, 0, 0, 0) {
            return refused("Healthcheck");
        }
    }
    Ok(())
}

fn check_host(config: &Config, host: &HostConfig) -> Result<()> {
    let restart = host.restart_policy.name.as_str();
    match restart {
        "" | "no" if host.restart_policy.maximum_retry_count != 0 => {
            return invalid(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'",
            );
        }
        "" | "no" => {}
        "always" | "on-failure" | "unless-stopped" if host.auto_remove => {
            return invalid("can't create 'AutoRemove' container with restart policy");
        }
        "always" | "on-failure" | "unless-stopped" => {
            return refused(format!("HostConfig.RestartPolicy {restart}"));
        }
        other => {
            return invalid(format!(
                "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or \
                 'unless-stopped'"
            ));
        }
    }
    if !matches!(host.isolation.to_ascii_lowercase().as_str(), "" | "default") {
        return invalid(format!("invalid isolation '{}' on linux", host.isolation));
    }
    if !matches!(host.runtime.as_str(), "" | RUNTIME) {
        return invalid(format!("unknown or invalid runtime name: {}", host.runtime));
    }
    if host.uts_mode == "host" && !config.hostname.is_empty() {
        return invalid("conflicting options: hostname and the UTS mode");
    }
    Ok(())
}

/// Docker's rule: a name, then `=` and anything, or the name alone.
pub(super) fn check_env(env: &[String]) -> Result<()> {
    match env
        .iter()
        .find(|variable| variable.is_empty() || variable.starts_with('='))
    {
        Some(variable) => invalid(format!("invalid environment variable: {variable}")),
        None => Ok(()),
    }
}

/// Empty or absolute.
pub(super) fn check_working_dir(path: &str) -> Result<()> {
    if path.is_empty() || path.starts_with('/') {
        return Ok(());
    }
    invalid(format!(
        "the working directory '{path}' is invalid, it needs to be an absolute path"
    ))
}

/// Rows and columns; zeros: unknown.
pub(super) fn console_size(size: Option<[u64; 2]>) -> Result<Option<(u16, u16)>> {
    match size {
        None | Some([0, 0]) => Ok(None),
        Some([rows, columns]) => match (u16::try_from(rows), u16::try_from(columns)) {
            (Ok(rows), Ok(columns)) => Ok(Some((rows, columns))),
            _ => invalid(format!("invalid console size {rows}x{columns}")),
        },
    }
}

fn network_mode(text: &str) -> Result<NetworkMode> {
    match text {
        "" | "default" | "bridge" => Ok(NetworkMode::Bridge),
        "host" => Ok(NetworkMode::Host),
        "none" => Ok(NetworkMode::None),
        shared if shared.starts_with("container:") => match &shared["container:".len()..] {
            "" => invalid("invalid container format container:<name|id>"),
            other => Ok(NetworkMode::Container(other.to_owned())),
        },
        name => Ok(NetworkMode::Network(name.to_owned())),
    }
}

/// What does not go with the host's network or another container's, in Docker's words.
fn check_network(config: &Config, host: &HostConfig, mode: &NetworkMode) -> Result<()> {
    let any = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if *mode == NetworkMode::Host && any(&host.links) {
        return invalid(
            "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
        );
    }
    if !matches!(mode, NetworkMode::Container(_)) {
        return Ok(());
    }
    for (wrong, what) in [
        (!config.hostname.is_empty(), "hostname and the network mode"),
        (
            any(&host.links),
            "container type network can't be used with links. This would result in undefined behavior",
        ),
        (any(&host.dns), "dns and the network mode"),
        (
            any(&host.extra_hosts),
            "custom host-to-IP mapping and the network mode",
        ),
        (
            !config.mac_address.is_empty(),
            "mac-address and the network mode",
        ),
        (
            host.publish_all_ports
                || host
                    .port_bindings
                    .as_ref()
                    .is_some_and(|all| !all.is_empty()),
            "port publishing and the container type network mode",
        ),
        (
            !config.exposed_ports.is_empty(),
            "port exposing and the container type network mode",
        ),
    ] {
        if wrong {
            return invalid(format!("conflicting options: {what}"));
        }
    }
    Ok(())
}

type Endpoints = (BTreeMap<String, Settings>, Vec<String>);

/// What is asked of places on networks, and the links of the default bridge.
fn endpoints(wire: &CreateRequest, host: &HostConfig, mode: &NetworkMode) -> Result<Endpoints> {
    let asked = wire
        .networking_config
        .iter()
        .flat_map(|config| &config.endpoints_config)
        .flatten();
    let mut endpoints = BTreeMap::new();
    for (name, wire) in asked {
        let name = if matches!(name.as_str(), "" | "default") {
            "bridge"
        } else {
            name
        };
        let field = format!("NetworkingConfig.EndpointsConfig[{name:?}]");
        let wire = wire.clone().unwrap_or_default();
        endpoints.insert(name.to_owned(), networks::settings(&field, &wire)?);
    }
    let links = host.links.clone().unwrap_or_default();
    let first = mode.network().unwrap_or_default();
    if let Some(mac) = networks::mac(&wire.config.mac_address)? {
        endpoints
            .entry(first.to_owned())
            .or_default()
            .mac
            .get_or_insert(mac);
    }
    if let NetworkMode::Network(name) = mode
        && !links.is_empty()
    {
        let settings = endpoints.entry(name.clone()).or_default();
        settings.links.extend(links);
        return Ok((endpoints, Vec::new()));
    }
    Ok((endpoints, links))
}

/// `name:address`; IPv6 addresses have colons of their own, `host-gateway` stands for the bridge's address.
fn extra_hosts(host: &HostConfig) -> Result<Vec<String>> {
    let hosts = host.extra_hosts.clone().unwrap_or_default();
    for entry in &hosts {
        let Some((name, address)) = entry.split_once(':') else {
            return invalid(format!("bad format for add-host: \"{entry}\""));
        };
        if name.is_empty() {
            return invalid(format!("bad format for add-host: \"{entry}\""));
        }
        let bare = address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(address);
        if address != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err() {
            return invalid(format!("invalid IP address in add-host: \"{address}\""));
        }
    }
    Ok(hosts)
}

fn resolve_host_gateway(hosts: &mut [String], gateway: Option<Ipv4Addr>) -> Result<()> {
    for entry in hosts {
        let Some(name) = entry.strip_suffix(":host-gateway") else {
            continue;
        };
        let Some(gateway) = gateway else {
            return invalid("unable to derive the IP value for host-gateway");
        };
        *entry = format!("{name}:{gateway}");
    }
    Ok(())
}

fn dns(host: &HostConfig) -> Result<Dns> {
    let servers = host.dns.iter().flatten().map(|text| {
        text.parse().map_err(|_| {
            Error::Invalid(format!(
                "invalid DNS address: {text}: IP address is not correctly formatted"
            ))
        })
    });
    Ok(Dns {
        servers: servers.collect::<Result<_>>()?,
        search: host.dns_search.clone().unwrap_or_default(),
        options: host.dns_options.clone().unwrap_or_default(),
    })
}

fn shm_size(bytes: i64) -> Result<Option<u64>> {
    match u64::try_from(bytes) {
        Ok(0) => Ok(None),
        Ok(bytes) => Ok(Some(bytes)),
        Err(_) => invalid("SHM size can not be less than 0"),
    }
}

fn oom_score_adj(value: i64) -> Result<i32> {
    match i32::try_from(value) {
        Ok(value) if (-1000..=1000).contains(&value) => Ok(value),
        _ => invalid(format!(
            "Invalid value {value}, range for oom score adj is [-1000, 1000]"
        )),
    }
}

/// Whether a namespace is the host's. Another container's is valid, and not built.
fn shared_with_host(field: &str, word: &str, mode: &str, private: &[&str]) -> Result<bool> {
    match mode {
        "host" => Ok(true),
        mode if private.contains(&mode) => Ok(false),
        mode if mode.starts_with("container:") || (field == "IpcMode" && mode == "none") => {
            refused(format!("HostConfig.{field} {mode}"))
        }
        mode => invalid(format!("invalid {word} mode: {mode}")),
    }
}

fn cgroup_namespace(mode: &str) -> Result<Option<CgroupNamespace>> {
    match mode {
        "" => Ok(None),
        "private" => Ok(Some(CgroupNamespace::Private)),
        "host" => Ok(Some(CgroupNamespace::Host)),
        other => invalid(format!("invalid cgroup namespace mode: {other}")),
    }
}

#[cfg(test)]
mod tests;
