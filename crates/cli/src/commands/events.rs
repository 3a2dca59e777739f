//! `events`: what happens in the daemon, as it happens.

use api::events::Message;
use client::{Method, Request, query};
use serde::Deserialize;

use super::logs::timestamp;
use crate::flags::Given;
use crate::format;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;
use crate::template::{Mode, Template, Value};

/// `events [OPTIONS]`
pub(crate) async fn events(session: &Session, given: &Given) -> Outcome {
    let template = match given.get("format").filter(|format| !format.is_empty()) {
        None => None,
        Some("json") => Some(Template::parse("{{json .}}")),
        Some(source) => Some(Template::parse(source)),
    };
    let template = template
        .transpose()
        .map_err(|error| Failure::new(format!("Error parsing format: {error}")).with_code(64))?;
    let filters = format::filters(&given.list("filter"));
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for flag in ["since", "until"] {
        if let Some(text) = given.get(flag).filter(|text| !text.is_empty()) {
            pairs.push((flag, timestamp(flag, text)?));
        }
    }
    pairs.extend(filters.map(|filters| ("filters", filters)));
    let pairs: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    let client = session.client().await?;
    let mut response = client
        .send(Request::new(Method::Get, query("/events", &pairs)))
        .await?;
    let mut failure = None;
    response
        .body
        .values(&mut |event| match line(&event, template.as_ref()) {
            Ok(line) => report::print(&format!("{line}\n")),
            Err(error) => failure = Some(error),
        })
        .await?;
    failure.map_or(Ok(0), |text| Err(Failure::new(text)))
}

fn line(event: &serde_json::Value, template: Option<&Template>) -> Result<String, String> {
    if let Some(template) = template {
        let value =
            Value::from_json(event.to_string().as_bytes()).map_err(|error| error.to_string())?;
        return template.render(&value, Mode::Values);
    }
    let event = Message::deserialize(event).map_err(|error| error.to_string())?;
    let attributes: Vec<String> = event
        .actor
        .attributes
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let mut line = format!(
        "{} {} {} {}",
        time(&event),
        event.kind,
        event.action,
        event.actor.id
    );
    if !attributes.is_empty() {
        line.push_str(&format!(" ({})", attributes.join(", ")));
    }
    Ok(line)
}

/// The local time with all nine digits of its fraction.
fn time(event: &Message) -> String {
    let nanos = if event.time_nano == 0 {
        i128::from(event.time) * 1_000_000_000
    } else {
        i128::from(event.time_nano)
    };
    let Ok(time) = jiff::Timestamp::from_nanosecond(nanos) else {
        return String::new();
    };
    let zoned = time.to_zoned(stdx::time::local_zone());
    let offset = if zoned.offset().is_zero() {
        "Z".to_owned()
    } else {
        zoned.strftime("%:z").to_string()
    };
    format!("{}{offset}", zoned.strftime("%Y-%m-%dT%H:%M:%S.%9f"))
}
