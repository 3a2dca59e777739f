//! `load` and `import`: archives to the daemon.

use std::io::Read;

use api::progress::Message;
use client::{Response, query};

use super::platforms;
use crate::flags::Given;
use crate::report::{self, Failure, Outcome, io_failure};
use crate::session::Session;

/// `load [-i FILE]`
pub(crate) async fn load(session: &Session, given: &Given) -> Outcome {
    let platforms = platforms(given, "invalid platform: ")?;
    let mut archive: Box<dyn Read> = match given.get("input") {
        Some(path) => Box::new(open(session, path)?),
        None if session.env.stdin_is_terminal => {
            return Err(Failure::new(
                "requested load from stdin, but stdin is empty",
            ));
        }
        None => Box::new(std::io::stdin()),
    };
    let mut pairs = vec![(
        "quiet",
        if given.is("quiet") || !session.env.stdout_is_terminal {
            "1"
        } else {
            "0"
        },
    )];
    let asked = platforms.iter();
    pairs.extend(asked.map(|platform| ("platform", platform.as_str())));
    let client = session.client().await?;
    let response = client
        .upload(&query("/images/load", &pairs), archive.as_mut())
        .await?;
    show(response).await
}

/// `import [OPTIONS] file|URL|- [REPOSITORY[:TAG]]`
pub(crate) async fn import(session: &Session, given: &Given) -> Outcome {
    let source = given.args[0].as_str();
    let is_url = source.starts_with("http://") || source.starts_with("https://");
    let mut archive: Box<dyn Read> = match source {
        "-" => Box::new(std::io::stdin()),
        _ if is_url => Box::new(std::io::empty()),
        path => Box::new(open(session, path)?),
    };
    let (repository, tag) = match given.args.get(1) {
        None => (String::new(), String::new()),
        Some(name) => {
            let name = crate::reference::familiar(name).map_err(Failure::new)?;
            name.rsplit_once(':')
                .map_or((name.clone(), String::new()), |(name, tag)| {
                    (name.to_owned(), tag.to_owned())
                })
        }
    };
    let message = given.text("message");
    let changes = given.list("change");
    let mut pairs = vec![
        ("fromSrc", if is_url { source } else { "-" }),
        ("repo", &repository),
        ("tag", &tag),
    ];
    pairs.push(("message", &message));
    pairs.extend(changes.iter().map(|change| ("changes", change.as_str())));
    let platform = super::platform(session, given);
    pairs.extend(platform.as_deref().map(|platform| ("platform", platform)));
    let client = session.client().await?;
    let response = client
        .upload(&query("/images/create", &pairs), archive.as_mut())
        .await?;
    show(response).await
}

fn open(session: &Session, path: &str) -> Result<std::fs::File, Failure> {
    std::fs::File::open(session.env.absolute(path))
        .map_err(|error| io_failure("open", path, &error))
}

/// Prints what the daemon reports while it works; its error, if it ends with one.
async fn show(mut response: Response) -> Outcome {
    if !response
        .field("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"))
    {
        let text = response.body.collect().await?;
        report::print(&String::from_utf8_lossy(&text));
        return Ok(0);
    }
    let mut failure = None;
    response
        .body
        .values(&mut |value| {
            let Ok(message) = serde_json::from_value::<Message>(value) else {
                return;
            };
            if !message.error.is_empty() {
                failure = Some(message.error);
            } else if !message.stream.is_empty() {
                report::print(&message.stream);
            } else if !message.status.is_empty() && message.progress_detail.is_none() {
                let id = if message.id.is_empty() {
                    String::new()
                } else {
                    format!("{}: ", message.id)
                };
                report::print(&format!("{id}{}\n", message.status));
            } else if message == Message::default() {
                // Nothing was loaded, and docker says so with an empty line.
                report::print("\n");
            }
        })
        .await?;
    failure.map_or(Ok(0), |text| Err(Failure::new(text)))
}
