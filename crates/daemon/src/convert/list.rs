//! `GET /containers/json`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use api::container::{Summary, SummaryHostConfig, SummaryNetworkSettings};
use api::host_config::HostConfig;
use api::version::ApiVersion;
use engine::Engine;
use engine::container::record::Record;
use engine::container::{Published, State};
use engine::ops::container::list::List;
use serde_json::{Map, Value};

use super::{inspect, networks, ports, time};
use crate::error::{Error, Result};
use crate::query::Query;

/// Parameters of the list.
pub fn request(query: &Query) -> Result<List> {
    let limit = match query.text("limit") {
        "" => 0,
        text => text.parse::<i64>().map_err(|_| {
            Error::Invalid(format!("strconv.Atoi: parsing \"{text}\": invalid syntax"))
        })?,
    };
    Ok(List {
        all: query.flag("all"),
        limit: usize::try_from(limit).unwrap_or(0),
        filters: super::filters(query)?,
    })
}

/// The entries, each made when it is asked for: a long list is written without being held.
pub fn summaries(
    engine: &Engine,
    containers: &[Arc<Published>],
    version: ApiVersion,
) -> impl Iterator<Item = Summary> {
    let now = SystemTime::now();
    containers
        .iter()
        .map(move |published| summary(engine, published, now, version))
}

/// What a list tells of a request. The rest is not decoded: it took most of the time of a list.
fn host_config(record: &Record) -> HostConfig {
    const TOLD: [&str; 3] = ["Annotations", "Binds", "Tmpfs"];
    let kept = record.request.get("HostConfig").and_then(Value::as_object);
    let told: Map<String, Value> = kept
        .into_iter()
        .flatten()
        .filter(|(name, value)| {
            !value.is_null() && TOLD.iter().any(|told| told.eq_ignore_ascii_case(name))
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if told.is_empty() {
        return HostConfig::default();
    }
    api::fold::from_value(Value::Object(told)).unwrap_or_default()
}

fn summary(
    engine: &Engine,
    published: &Published,
    now: SystemTime,
    version: ApiVersion,
) -> Summary {
    let record = &published.record;
    let host = host_config(record);
    let annotations = if version.at_least(46) {
        host.annotations.clone()
    } else {
        BTreeMap::new()
    };
    Summary {
        id: record.id.clone(),
        names: vec![format!("/{}", published.name)],
        image: record.spec.image.clone(),
        image_id: record.image_id.clone(),
        command: command(published),
        created: time::unix(record.created),
        ports: ports::list(published),
        labels: record.effective.labels.clone(),
        state: published.state.docker_status().to_owned(),
        status: status(&published.state, now),
        host_config: SummaryHostConfig {
            network_mode: networks::mode(&record.spec.network),
            annotations,
        },
        network_settings: SummaryNetworkSettings {
            networks: inspect::endpoints(engine, published),
        },
        mounts: inspect::mount_points(record, &host),
        ..Summary::default()
    }
}

/// Program and arguments; those with spaces are quoted.
fn command(published: &Published) -> String {
    let (path, args) = published.record.effective.path_and_args();
    let quoted = args.iter().map(|arg| {
        if arg.contains(' ') {
            format!("'{arg}'")
        } else {
            arg.clone()
        }
    });
    std::iter::once(path)
        .chain(quoted)
        .collect::<Vec<_>>()
        .join(" ")
}

/// `Up 5 minutes`, `Exited (0) 3 seconds ago`.
fn status(state: &State, now: SystemTime) -> String {
    let since = |time: SystemTime| {
        stdx::time::human_duration(now.duration_since(time).unwrap_or(Duration::ZERO))
    };
    match state {
        State::Created(_) => "Created".to_owned(),
        State::Running(running) => format!("Up {}", since(running.started_at)),
        State::Paused(running) => format!("Up {} (Paused)", since(running.started_at)),
        State::Exited(exit) => format!("Exited ({}) {} ago", exit.code, since(exit.finished_at)),
        State::Dead(_) => "Dead".to_owned(),
    }
}
