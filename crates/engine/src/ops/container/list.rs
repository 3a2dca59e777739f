//! All containers that someone wants to see, newest first. Never waits.

use std::cmp::Reverse;
use std::sync::Arc;

use oci::Reference;

use crate::container::{Published, State};
use crate::filters::Filters;
use crate::{Engine, Error, Result};

/// Filters that are understood.
const KNOWN: [&str; 15] = [
    "id", "name", "label", "label!", "exited", "status", "ancestor", "before", "since", "network",
    "volume", "health", "is-task", "publish", "expose",
];
const STATUSES: [&str; 7] = [
    "created",
    "running",
    "paused",
    "restarting",
    "removing",
    "exited",
    "dead",
];
const HEALTHS: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// Which containers.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Those that do not run, too.
    pub all: bool,
    /// At most so many of the newest (running or not); 0: all.
    pub limit: usize,
    /// `id name label exited status ancestor before since network volume health …`.
    pub filters: Filters,
}

/// Lists containers.
pub fn list(engine: &Arc<Engine>, which: &List) -> Result<Vec<Arc<Published>>> {
    let filters = &which.filters;
    filters.allow(&KNOWN)?;
    check(filters, "status", &STATUSES)?;
    check(filters, "health", &HEALTHS)?;
    let bounds = Bounds::find(engine, filters)?;
    let ancestors = ancestors(engine, filters);
    let codes = codes(filters)?;
    let everything = which.all
        || which.limit > 0
        || ["status", "exited"]
            .iter()
            .any(|name| !filters.values(name).is_empty());
    let mut containers = engine.containers.all();
    containers.retain(|now| {
        (everything || now.state.is_running())
            && bounds.hold(now)
            && by_words(filters, now)
            && (codes.is_empty()
                || matches!(&now.state, State::Exited(exit) if codes.contains(&exit.code)))
            && ancestors
                .as_ref()
                .is_none_or(|ids| ids.contains(&now.record.image_id))
    });
    containers.sort_by_key(|now| Reverse(now.record.created));
    if which.limit > 0 {
        containers.truncate(which.limit);
    }
    Ok(containers)
}

fn check(filters: &Filters, name: &str, allowed: &[&str]) -> Result<()> {
    match filters
        .values(name)
        .iter()
        .find(|value| !allowed.contains(&value.as_str()))
    {
        Some(value) if name == "status" => Err(Error::Invalid(format!(
            "invalid filter 'status={value}': invalid value for state ({value}): must be one of {}",
            allowed.join(", ")
        ))),
        Some(value) => Err(Error::Invalid(format!("invalid filter '{name}={value}'"))),
        None => Ok(()),
    }
}

fn by_words(filters: &Filters, now: &Published) -> bool {
    let id = now.id();
    filters.any("id", |prefix| id.starts_with(prefix))
        && filters.any("name", |pattern| name_matches(now.name.as_str(), pattern))
        && filters.labels(&now.record.effective.labels)
        && filters.any("status", |status| now.state.docker_status() == status)
        && filters.any("network", |wanted| on_network(now, wanted))
        && filters.any("health", |health| health == "none")
        && filters.any("is-task", |value| value == "false")
        && filters.any("volume", |wanted| has_mount(now, wanted))
        && filters.any("publish", |wanted| publishes(now, wanted))
        && filters.any("expose", |port| {
            let port = if port.contains('/') {
                port.to_owned()
            } else {
                format!("{port}/tcp")
            };
            now.record.effective.exposed_ports.contains(&port)
        })
}

/// By the container's port, or a range of them: `80`, `80/tcp`, `8000-8010/udp`.
fn publishes(now: &Published, wanted: &str) -> bool {
    let (numbers, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) else {
        return false;
    };
    now.ports
        .iter()
        .any(|port| port.protocol.name() == protocol && (first..=last).contains(&port.container))
}

/// Docker's: a regular expression, tried on the name with its slash and without; one that is none matches nothing.
fn name_matches(name: &str, pattern: &str) -> bool {
    let Ok(pattern) = regex_lite::Regex::new(pattern) else {
        return false;
    };
    pattern.is_match(name) || pattern.is_match(&format!("/{name}"))
}

/// By the network's name or its id.
fn on_network(now: &Published, wanted: &str) -> bool {
    now.attachments
        .iter()
        .any(|one| one.network == wanted || (!wanted.is_empty() && one.network_id == wanted))
}

fn has_mount(now: &Published, wanted: &str) -> bool {
    use crate::container::spec::Mount;
    now.record.spec.mounts.iter().any(|mount| match mount {
        Mount::Bind { source, target, .. } => {
            target == wanted || source.to_string_lossy() == wanted
        }
        Mount::Tmpfs { .. } => false,
    })
}

fn codes(filters: &Filters) -> Result<Vec<i32>> {
    let parse = |value: &String| {
        value
            .parse()
            .map_err(|_| Error::Invalid(format!("invalid filter 'exited={value}'")))
    };
    filters.values("exited").iter().map(parse).collect()
}

/// Ids of the images named, and of those that are made from them.
fn ancestors(engine: &Engine, filters: &Filters) -> Option<Vec<String>> {
    let wanted = filters.values("ancestor");
    if wanted.is_empty() {
        return None;
    }
    let images = engine.images.list();
    let mut ids = Vec::new();
    for word in wanted {
        let Ok(ancestor) = engine.images.resolve(word) else {
            // A digest or name of an image that has been untagged meanwhile still means the containers made from it.
            ids.extend(gone(engine, word));
            continue;
        };
        let below = |image: &image::Image| {
            ancestor.chain.is_some()
                && ancestor
                    .chain
                    .as_ref()
                    .is_some_and(|chain| image.chains.contains(chain))
        };
        ids.extend(
            images
                .iter()
                .filter(|image| image.id == ancestor.id || below(image))
                .map(|image| image.id.to_string()),
        );
    }
    Some(ids)
}

fn gone(engine: &Engine, word: &str) -> Vec<String> {
    let Ok(reference) = word.parse::<Reference>() else {
        return Vec::new();
    };
    let same = |asked: &str| {
        asked
            .parse::<Reference>()
            .is_ok_and(|asked| asked.familiar() == reference.familiar())
    };
    let all = engine.containers.all();
    all.iter()
        .filter(|now| same(&now.record.spec.image))
        .map(|now| now.record.image_id.clone())
        .collect()
}

/// `before` and `since`: containers between two others.
struct Bounds {
    before: Option<Arc<Published>>,
    since: Option<Arc<Published>>,
}

impl Bounds {
    fn find(engine: &Engine, filters: &Filters) -> Result<Self> {
        let one = |name: &str| -> Result<Option<Arc<Published>>> {
            filters
                .values(name)
                .last()
                .map(|reference| Ok(engine.containers.find(reference)?.now()))
                .transpose()
        };
        Ok(Self {
            before: one("before")?,
            since: one("since")?,
        })
    }

    fn hold(&self, now: &Published) -> bool {
        self.before
            .as_ref()
            .is_none_or(|bound| now.record.created < bound.record.created)
            && self
                .since
                .as_ref()
                .is_none_or(|bound| now.record.created > bound.record.created)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_part_or_anchored() {
        for (pattern, matches) in [
            ("we", true),
            ("^web", true),
            ("^/web", true),
            ("b-1$", true),
            ("^web$", false),
            ("^eb", false),
            ("/web-1", true),
        ] {
            assert_eq!(name_matches("web-1", pattern), matches, "{pattern}");
        }
    }
}
