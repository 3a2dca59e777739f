//! What happened and happens.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::broadcast;

use crate::events::{Event, Kind};
use crate::filters::Filters;
use crate::{Engine, Result};

/// Filters that are understood.
const KNOWN: [&str; 14] = [
    "type",
    "event",
    "container",
    "image",
    "network",
    "label",
    "scope",
    "volume",
    "daemon",
    "plugin",
    "service",
    "node",
    "secret",
    "config",
];

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Also the past ones from here on.
    pub since: Option<SystemTime>,
    /// Until here, then the stream ends.
    pub until: Option<SystemTime>,
    /// `type event container image label …`.
    pub filters: Filters,
}

/// Past and coming events.
#[derive(Debug)]
pub struct Stream {
    past: std::vec::IntoIter<Arc<Event>>,
    coming: broadcast::Receiver<Arc<Event>>,
    selection: Selection,
}

/// Begins to listen.
pub fn events(engine: &Arc<Engine>, selection: Selection) -> Result<Stream> {
    selection.filters.allow(&KNOWN)?;
    let (past, coming) = engine.events.subscribe();
    // Nobody who did not ask for the past gets it.
    let past = match (selection.since, selection.until) {
        (None, None) => Vec::new(),
        _ => past,
    };
    Ok(Stream {
        past: past.into_iter(),
        coming,
        selection,
    })
}

impl Stream {
    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        for event in self.past.by_ref() {
            if self.selection.wants(&event) {
                return Some(event);
            }
        }
        loop {
            let left = match self.selection.until {
                // A time that has passed leaves only the past.
                Some(until) => until.duration_since(SystemTime::now()).ok()?,
                None => Duration::from_secs(u64::from(u32::MAX)),
            };
            match tokio::time::timeout(left, self.coming.recv()).await {
                Ok(Ok(event)) if self.selection.wants(&event) => return Some(event),
                // Too slow: what was missed is missed.
                Ok(Ok(_) | Err(broadcast::error::RecvError::Lagged(_))) => {}
                Ok(Err(broadcast::error::RecvError::Closed)) | Err(_) => return None,
            }
        }
    }
}

impl Selection {
    fn wants(&self, event: &Event) -> bool {
        let attribute = |key: &str| event.attributes.get(key).map_or("", String::as_str);
        let is = |kind: Kind| event.kind == kind;
        let named = |wanted: &str| event.id.starts_with(wanted) || attribute("name") == wanted;
        let of_image = |wanted: &str| {
            let same = |name: &str| {
                name == wanted
                    || name
                        .rsplit_once(':')
                        .is_some_and(|(name, _)| name == wanted)
            };
            (is(Kind::Image) && (event.id == wanted || same(attribute("name"))))
                || (is(Kind::Container) && same(attribute("image")))
        };
        let filters = &self.filters;
        self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time <= until)
            && filters.any("type", |wanted| event.kind.as_str() == wanted)
            && filters.any("event", |wanted| {
                event.action == wanted || event.action.split(':').next() == Some(wanted)
            })
            && filters.any("container", |wanted| {
                (is(Kind::Container) && named(wanted))
                    || (is(Kind::Network) && attribute("container").starts_with(wanted))
            })
            && filters.any("image", of_image)
            && filters.any("network", |wanted| is(Kind::Network) && named(wanted))
            && filters.any("scope", |wanted| wanted == "local")
            && filters.labels(&event.attributes)
            && [
                "volume", "daemon", "plugin", "service", "node", "secret", "config",
            ]
            .iter()
            .all(|other| filters.values(other).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn events_are_chosen_by_what_they_are_about() {
        let event = Event {
            kind: Kind::Container,
            action: "exec_start: sh -c x".into(),
            id: "abcdef".into(),
            attributes: [("name", "web"), ("image", "busybox:latest"), ("tier", "1")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            time: SystemTime::now(),
        };
        for (name, value, expect) in [
            ("container", "web", true),
            ("container", "abc", true),
            ("container", "db", false),
            ("type", "image", false),
            ("event", "exec_start", true),
            ("image", "busybox", true),
            ("label", "tier=1", true),
            ("network", "bridge", false),
        ] {
            let filters = Filters::new(BTreeMap::from([(name.to_owned(), vec![value.to_owned()])]));
            let selection = Selection {
                filters,
                ..Selection::default()
            };
            assert_eq!(selection.wants(&event), expect, "{name}={value}");
        }
    }
}
