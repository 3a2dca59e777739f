//! From the flags of `create` and `run` to the create request, by docker's rules.
//!
//! Every flag has its place in the request, built or not: the daemon refuses what it cannot do, naming it.

#![allow(
    clippy::zero_sized_map_values,
    reason = "the wire has sets written as maps"
)]

pub(crate) mod device;
pub(crate) mod file;
pub(crate) mod host;
pub(crate) mod mount;
pub(crate) mod port;
pub(crate) mod security;
pub(crate) mod ulimit;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::config::{Config, Empty, HealthConfig, Set};
use api::container::CreateRequest;

use crate::env::Env;
use crate::flags::Given;
use crate::report::Failure;

/// Flags that have no place in the request yet; naming one is an error.
pub(crate) const UNBUILT: [&str; 2] = ["use-api-socket", "disable-content-trust"];

/// Builds the request from flags and arguments (the image, then the command).
pub(crate) fn build(env: &Env, given: &Given) -> Result<CreateRequest, Failure> {
    let (binds, volumes) = mount::volumes(env, given);
    let (port_bindings, exposed_ports) = port::parse_all(given)?;
    let attach: Vec<String> = given
        .list("attach")
        .iter()
        .map(|name| name.to_ascii_lowercase())
        .collect();
    let attached = |name: &str| attach.iter().any(|entry| entry == name);
    let interactive = given.is("interactive");
    let config = Config {
        hostname: given.text("hostname"),
        domainname: given.text("domainname"),
        user: given.text("user"),
        attach_stdin: interactive || attached("stdin"),
        attach_stdout: attach.is_empty() || attached("stdout"),
        attach_stderr: attach.is_empty() || attached("stderr"),
        exposed_ports,
        tty: given.is("tty"),
        open_stdin: interactive,
        stdin_once: interactive,
        env: Some(file::environment(env, given)?),
        cmd: Some(given.args[1..].to_vec()).filter(|command| !command.is_empty()),
        healthcheck: health(given)?,
        image: given.args[0].clone(),
        volumes: Some(volumes),
        working_dir: given.text("workdir"),
        entrypoint: given
            .get("entrypoint")
            .map(|program| vec![program.to_owned()]),
        labels: Some(file::labels(env, given)?),
        stop_signal: given.text("stop-signal"),
        stop_timeout: given.number("stop-timeout"),
        ..Config::default()
    };
    let mut host_config = host::build(env, given)?;
    host_config.binds = Some(binds).filter(|binds| !binds.is_empty());
    host_config.port_bindings = Some(port_bindings);
    let networking_config = host::networking(given, &mut host_config)?;
    Ok(CreateRequest {
        config,
        host_config: Some(host_config),
        networking_config,
    })
}

/// `k=v` pairs as a map; a key alone has an empty value.
pub(crate) fn pairs(list: &[String]) -> BTreeMap<String, String> {
    list.iter()
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key.to_owned(), value.to_owned())
        })
        .collect()
}

/// The list, or nothing when it is empty, as Go writes one that was never set.
pub(crate) fn non_empty(list: Vec<String>) -> Option<Vec<String>> {
    Some(list).filter(|list| !list.is_empty())
}

/// `--add-host name:address` or `name=address`, as the API takes it.
pub(crate) fn extra_host(text: &str) -> Result<String, String> {
    let (name, address) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .unwrap_or((text, ""));
    if name.is_empty() || address.is_empty() {
        return Err(format!("bad format for add-host: {text:?}"));
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(address);
    if bare != "host-gateway" && bare.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {address:?}"));
    }
    Ok(format!("{name}:{bare}"))
}

fn health(given: &Given) -> Result<Option<HealthConfig>, Failure> {
    let nanos = |name: &str| {
        let duration = given
            .get(name)
            .and_then(stdx::time::parse_go_duration)
            .unwrap_or_default();
        i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
    };
    let config = HealthConfig {
        test: given
            .get("health-cmd")
            .filter(|command| !command.is_empty())
            .map(|command| vec!["CMD-SHELL".to_owned(), command.to_owned()])
            .unwrap_or_default(),
        interval: nanos("health-interval"),
        timeout: nanos("health-timeout"),
        start_period: nanos("health-start-period"),
        start_interval: nanos("health-start-interval"),
        retries: given.number("health-retries").unwrap_or(0),
    };
    if given.is("no-healthcheck") {
        if config != HealthConfig::default() {
            return Err(Failure::new(
                "--no-healthcheck conflicts with --health-* options",
            ));
        }
        return Ok(Some(HealthConfig {
            test: vec!["NONE".to_owned()],
            ..config
        }));
    }
    Ok(Some(config).filter(|config| *config != HealthConfig::default()))
}

/// Go's `struct{}` as a map's value.
pub(crate) fn set(names: impl IntoIterator<Item = String>) -> Set {
    names.into_iter().map(|name| (name, Empty {})).collect()
}
