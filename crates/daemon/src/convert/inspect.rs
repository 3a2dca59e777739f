//! `GET /containers/{id}/json`: the request as it came, filled with what the container got.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::config::{Config, Empty, Set};
use api::container::{Inspect, MountPoint, State as WireState};
use api::host_config::HostConfig;
use api::image::GraphDriver;
use api::network::{EndpointIpamConfig, EndpointSettings, NetworkSettings};
use api::version::ApiVersion;
use engine::Engine;
use engine::container::record::Record;
use engine::container::spec::{Mount, NetworkMode, defaults};
use engine::container::{Container, Published, State};
use engine::ops::network::names;
use network::{Attachment, Settings};

use super::{create, mounts, ports, time};
use crate::error::{Error, Result};

/// A container.
pub fn container(
    engine: &Engine,
    container: &Container,
    published: &Published,
    version: ApiVersion,
) -> Result<Inspect> {
    let record = &published.record;
    let (path, args) = record.effective.path_and_args();
    let paths = &container.paths;
    let etc = |name: &str| paths.etc(name).display().to_string();
    let host_config = host_config(engine, published, version)?;
    let has_log = matches!(
        record.spec.log,
        engine::container::spec::LogConfig::JsonFile { .. }
    );
    Ok(Inspect {
        id: record.id.clone(),
        created: stdx::time::rfc3339_nano(record.created),
        path,
        args,
        state: state(&published.state),
        image: record.image_id.clone(),
        resolv_conf_path: etc("resolv.conf"),
        hostname_path: etc("hostname"),
        hosts_path: etc("hosts"),
        log_path: if has_log {
            paths.log().display().to_string()
        } else {
            String::new()
        },
        name: format!("/{}", published.name),
        driver: "overlay2".to_owned(),
        platform: record.os.clone(),
        exec_ids: (!published.execs.is_empty()).then(|| published.execs.clone()),
        graph_driver: graph_driver(&record.id),
        mounts: mount_points(record, &host_config),
        config: config(record)?,
        network_settings: network_settings(engine, published),
        host_config,
        ..Inspect::default()
    })
}

/// The layers are never attached to the host's tree, so there is no directory to name.
pub(super) fn graph_driver(id: &str) -> GraphDriver {
    let mut data: BTreeMap<String, String> = ["LowerDir", "MergedDir", "UpperDir", "WorkDir"]
        .map(|name| (name.to_owned(), String::new()))
        .into();
    if !id.is_empty() {
        data.insert("ID".to_owned(), id.to_owned());
    }
    GraphDriver {
        data: Some(data),
        name: "overlay2".to_owned(),
    }
}

fn state(state: &State) -> WireState {
    let oom_killed = matches!(state, State::Exited(exit) if exit.oom_killed);
    WireState {
        status: state.docker_status().to_owned(),
        running: state.is_running(),
        paused: matches!(state, State::Paused(_)),
        oom_killed,
        dead: matches!(state, State::Dead(_)),
        pid: i64::from(state.pid()),
        exit_code: i64::from(state.exit_code()),
        error: state.error().to_owned(),
        started_at: time::or_never(state.started_at()),
        finished_at: time::or_never(state.finished_at()),
        ..WireState::default()
    }
}

/// One half of the request as it was kept.
fn kept<T: serde::de::DeserializeOwned>(value: Option<&serde_json::Value>) -> Result<T> {
    let value = value.cloned().unwrap_or_default();
    api::fold::from_value(value)
        .map_err(|error| Error::Internal(format!("read kept request: {error}")))
}

#[expect(
    clippy::zero_sized_map_values,
    reason = "Go writes a set as an object of empty objects"
)]
fn config(record: &Record) -> Result<Config> {
    let effective = &record.effective;
    let mut config: Config = kept(Some(&record.request))?;
    config.hostname.clone_from(&effective.hostname);
    config.user.clone_from(&effective.user);
    config.env = (!effective.env.is_empty()).then(|| effective.env.clone());
    config.volumes = config.volumes.filter(|volumes| !volumes.is_empty());
    config.cmd.clone_from(&effective.command);
    config.entrypoint.clone_from(&effective.entrypoint);
    config.working_dir.clone_from(&effective.working_dir);
    config.labels = Some(effective.labels.clone());
    if config.stop_signal.is_empty() {
        config.stop_signal = effective
            .stop_signal
            .map(|signal| signal.to_string())
            .unwrap_or_default();
    }
    let set =
        |names: &[String]| -> Set { names.iter().map(|name| (name.clone(), Empty {})).collect() };
    config.exposed_ports.extend(set(&effective.exposed_ports));
    if !effective.volumes.is_empty() {
        config
            .volumes
            .get_or_insert_default()
            .extend(set(&effective.volumes));
    }
    Ok(config)
}

/// The host's half, with the defaults that dockerd writes down at creation.
fn host_config(engine: &Engine, published: &Published, version: ApiVersion) -> Result<HostConfig> {
    let record = &*published.record;
    let mut host: HostConfig = kept(record.request.get("HostConfig"))?;
    let spec = &record.spec;
    let or = |text: &mut String, default: &str| {
        if text.is_empty() {
            default.clone_into(text);
        }
    };
    if host.network_mode == "default" {
        host.network_mode.clear();
    }
    or(&mut host.network_mode, "bridge");
    if spec.network == NetworkMode::Bridge && host.links.is_some() {
        let links = engine::links::shown(engine, published);
        host.links = (!links.is_empty()).then_some(links);
    }
    or(&mut host.restart_policy.name, "no");
    or(&mut host.log_config.kind, "json-file");
    host.log_config.config.get_or_insert_default();
    or(&mut host.ipc_mode, "private");
    or(&mut host.runtime, create::RUNTIME);
    let unified = engine.host.cgroup_version() == 2;
    or(
        &mut host.cgroupns_mode,
        if unified { "private" } else { "host" },
    );
    // Version 2 has no such switch: dockerd forgets that it was asked for.
    host.oom_kill_disable = (!unified).then(|| host.oom_kill_disable.unwrap_or(false));
    host.shm_size = spec.shm_size.unwrap_or(defaults::SHM_SIZE).cast_signed();
    if host.memory > 0 && host.memory_swap == 0 {
        host.memory_swap = host.memory.saturating_mul(2);
    }
    let unmasked = spec.privileged || spec.security.unmasked_paths;
    let lists = [
        (&mut host.masked_paths, defaults::MASKED_PATHS.as_slice()),
        (
            &mut host.readonly_paths,
            defaults::READONLY_PATHS.as_slice(),
        ),
    ];
    for (list, default) in lists {
        if spec.privileged {
            *list = None;
        } else if list.is_none() && !unmasked {
            *list = Some(default.iter().map(|path| (*path).to_owned()).collect());
        }
    }
    if !version.at_least(43) {
        host.annotations.clear();
    }
    Ok(host)
}

/// Where the container's mounts are, in the request's order. What `--tmpfs` made is not among them, as in Docker.
pub(super) fn mount_points(record: &Record, host: &HostConfig) -> Vec<MountPoint> {
    let mode = |target: &str| {
        let found = host
            .binds
            .iter()
            .flatten()
            .find_map(|text| match mounts::split(text) {
                Some((_, found, mode)) if found.trim_end_matches('/') == target => {
                    Some(mode.to_owned())
                }
                _ => None,
            });
        found.unwrap_or_default()
    };
    let point = |mount: &Mount| match mount {
        Mount::Bind {
            source,
            target,
            read_only,
            propagation,
            ..
        } => Some(MountPoint {
            kind: "bind".to_owned(),
            source: source.display().to_string(),
            destination: target.clone(),
            mode: mode(target),
            rw: !read_only,
            propagation: propagation.as_str().to_owned(),
            ..MountPoint::default()
        }),
        Mount::Tmpfs { target, options } if !host.tmpfs.contains_key(target) => Some(MountPoint {
            kind: "tmpfs".to_owned(),
            destination: target.clone(),
            rw: !options.iter().any(|option| option == "ro"),
            ..MountPoint::default()
        }),
        Mount::Tmpfs { .. } => None,
    };
    record.spec.mounts.iter().filter_map(point).collect()
}

fn network_settings(engine: &Engine, published: &Published) -> NetworkSettings {
    let running = published.state.is_running();
    let mut settings = NetworkSettings {
        sandbox_id: if running {
            published.id().to_owned()
        } else {
            String::new()
        },
        sandbox_key: if running {
            format!("/proc/{}/ns/net", published.state.pid())
        } else {
            String::new()
        },
        ports: Some(ports::map(published)),
        ..NetworkSettings::default()
    };
    let networks = endpoints(engine, published);
    // The fields from before there were several: of the default bridge alone.
    if let Some(endpoint) = networks.get("bridge") {
        settings.endpoint_id.clone_from(&endpoint.endpoint_id);
        settings.gateway.clone_from(&endpoint.gateway);
        settings.ip_address.clone_from(&endpoint.ip_address);
        settings.ip_prefix_len = endpoint.ip_prefix_len;
        settings.ipv6_gateway.clone_from(&endpoint.ipv6_gateway);
        settings
            .global_ipv6_address
            .clone_from(&endpoint.global_ipv6_address);
        settings.global_ipv6_prefix_len = endpoint.global_ipv6_prefix_len;
        settings.mac_address.clone_from(&endpoint.mac_address);
    }
    settings.networks = Some(networks);
    settings
}

/// The networks that a container is on by their names, and its places there.
pub(super) fn endpoints(
    engine: &Engine,
    published: &Published,
) -> BTreeMap<String, Box<EndpointSettings>> {
    let attachments = published.attachments.iter();
    attachments
        .map(|attachment| {
            (
                attachment.network.clone(),
                Box::new(endpoint(engine, published, attachment)),
            )
        })
        .collect()
}

/// The addresses that were asked for, if any were.
fn ipam_config(asked: &Settings) -> Option<EndpointIpamConfig> {
    let text = |address: Option<IpAddr>| address.map_or_else(String::new, |it| it.to_string());
    let link_local: Vec<String> = asked.link_local.iter().map(ToString::to_string).collect();
    Some(EndpointIpamConfig {
        ipv4_address: text(asked.ipv4.map(IpAddr::V4)),
        ipv6_address: text(asked.ipv6.map(IpAddr::V6)),
        link_local_ips: (!link_local.is_empty()).then_some(link_local),
    })
    .filter(|config| *config != EndpointIpamConfig::default())
}

fn endpoint(engine: &Engine, published: &Published, attachment: &Attachment) -> EndpointSettings {
    let asked = &attachment.settings;
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let mut settings = EndpointSettings {
        network_id: attachment.network_id.clone(),
        ipam_config: ipam_config(asked),
        links: some(&asked.links),
        aliases: some(&asked.aliases),
        driver_opts: Some(asked.driver_opts.clone()).filter(|options| !options.is_empty()),
        gw_priority: asked.gateway_priority,
        ..EndpointSettings::default()
    };
    if published.record.spec.network == NetworkMode::Host
        || published.record.spec.network == NetworkMode::None
    {
        settings.network_id = engine
            .networks
            .find(attachment.id_or_name())
            .map_or_else(|_| String::new(), |network| network.record.id.clone());
    }
    let mut endpoints = published.endpoints.iter();
    let Some(endpoint) = endpoints.find(|one| one.network_id == attachment.network_id) else {
        return settings;
    };
    let network = engine.networks.find(&endpoint.network_id);
    if network.is_ok_and(|network| !network.is_predefined()) {
        settings.dns_names = Some(names::of(published, &asked.aliases));
    }
    settings.endpoint_id.clone_from(&endpoint.id);
    settings.mac_address.clone_from(&endpoint.mac);
    let text = |address: Option<IpAddr>| address.map_or_else(String::new, |it| it.to_string());
    settings.gateway = text(endpoint.gateway4.map(IpAddr::V4));
    settings.ipv6_gateway = text(endpoint.gateway6.map(IpAddr::V6));
    if let Some(ipv4) = endpoint.ipv4 {
        settings.ip_address = ipv4.addr().to_string();
        settings.ip_prefix_len = i64::from(ipv4.prefix_len());
    }
    if let Some(ipv6) = endpoint.ipv6 {
        settings.global_ipv6_address = ipv6.addr().to_string();
        settings.global_ipv6_prefix_len = i64::from(ipv6.prefix_len());
    }
    settings
}
