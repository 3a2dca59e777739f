//! `logs`: what a container has written, and what it goes on to write.

use api::container::Inspect;
use client::{Method, Request, query};

use super::segment;
use crate::flags::Given;
use crate::report::{Failure, Outcome};
use crate::session::Session;
use crate::streams::Sink;

/// `logs [OPTIONS] CONTAINER`
pub(crate) async fn logs(session: &Session, given: &Given) -> Outcome {
    let client = session.client().await?;
    let name = segment(&given.args[0]);
    let container: Inspect = client
        .call(Request::new(
            Method::Get,
            format!("/containers/{name}/json"),
        ))
        .await?;
    let mut pairs = vec![("stdout", "1".to_owned()), ("stderr", "1".to_owned())];
    for flag in ["follow", "timestamps", "details"] {
        if given.is(flag) {
            pairs.push((flag, "1".to_owned()));
        }
    }
    pairs.push(("tail", given.get("tail").unwrap_or("all").to_owned()));
    for flag in ["since", "until"] {
        if let Some(text) = given.get(flag).filter(|text| !text.is_empty()) {
            pairs.push((flag, timestamp(flag, text)?));
        }
    }
    let pairs: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    let path = query(&format!("/containers/{}/logs", container.id), &pairs);
    let mut response = client.send(Request::new(Method::Get, path)).await?;
    let failed = |error: std::io::Error| Failure::new(error.to_string());
    let mut sink = Sink::new().map_err(failed)?;
    let mut pending = Vec::new();
    while let Some(piece) = response.body.chunk().await? {
        let written = if container.config.tty {
            sink.raw(&piece)
        } else {
            pending.extend_from_slice(&piece);
            sink.frames(&pending)
                .map(|used| drop(pending.drain(..used)))
        };
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            other => other.map_err(failed)?,
        }
    }
    Ok(0)
}

/// A time as the API takes it: Unix seconds with nanoseconds.
pub(crate) fn timestamp(flag: &str, text: &str) -> Result<String, Failure> {
    let time =
        stdx::time::parse_timestamp(text, std::time::SystemTime::now()).ok_or_else(|| {
            Failure::new(format!(
                "invalid value for {flag:?}: failed to parse value as time or duration: {text:?}"
            ))
        })?;
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(format!("{}.{:09}", since.as_secs(), since.subsec_nanos()))
}
