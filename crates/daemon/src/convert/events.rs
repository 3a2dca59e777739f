//! Events.

use api::events::{Actor, Message};
use engine::events::{Event, Kind};
use engine::ops::system::Selection;

use super::time;
use crate::error::{Error, Result};
use crate::query::Query;

/// Parameters of `GET /events`.
pub fn request(query: &Query) -> Result<Selection> {
    let at = |name: &str| time::parse(query.text(name)).map_err(Error::Invalid);
    let (since, until) = (at("since")?, at("until")?);
    if let (Some(since), Some(until)) = (since, until)
        && until < since
    {
        return super::invalid(format!(
            "`since` time ({}) cannot be after `until` time ({})",
            time::unix(since),
            time::unix(until)
        ));
    }
    Ok(Selection {
        since,
        until,
        filters: super::filters(query)?,
    })
}

/// An event as it is sent, with the fields of the days before 1.22 that are still there for containers and images.
pub fn message(event: &Event) -> Message {
    let mut message = Message {
        kind: event.kind.as_str().to_owned(),
        action: event.action.clone(),
        actor: Actor {
            id: event.id.clone(),
            attributes: event.attributes.clone(),
        },
        scope: "local".to_owned(),
        time: time::unix(event.time),
        time_nano: time::unix_nanos(event.time),
        ..Message::default()
    };
    if matches!(event.kind, Kind::Container | Kind::Image) {
        message.status.clone_from(&event.action);
        message.id.clone_from(&event.id);
    }
    if event.kind == Kind::Container {
        message.from = event.attributes.get("image").cloned().unwrap_or_default();
    }
    message
}
