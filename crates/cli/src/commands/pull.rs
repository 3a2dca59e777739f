//! `pull`: asks the daemon to fetch an image and shows how it goes.

use client::{Method, Request, query};

use crate::flags::Given;
use crate::reference;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;

/// `pull [OPTIONS] NAME[:TAG|@DIGEST]`
pub(crate) async fn pull(session: &Session, given: &Given) -> Outcome {
    let image = reference::familiar(&given.args[0]).map_err(Failure::new)?;
    if !given.args[0].contains([':', '@']) && !given.is("quiet") {
        report::print("Using default tag: latest\n");
    }
    let mut lines = Vec::new();
    fetch(session, &image, given, &mut |line| lines.push(line)).await?;
    if given.is("quiet") {
        report::print(&format!("{image}\n"));
    } else {
        report::print(&format!("{}\n", lines.join("\n")));
    }
    Ok(0)
}

/// Fetches an image on the way to a container; progress goes to standard error.
pub(crate) async fn image(session: &Session, image: &str, given: &Given) -> Result<(), Failure> {
    let quiet = given.is("quiet");
    fetch(session, image, given, &mut |line| {
        if !quiet {
            report::print_error(&line);
        }
    })
    .await
}

async fn fetch(
    session: &Session,
    image: &str,
    given: &Given,
    each: &mut dyn FnMut(String),
) -> Result<(), Failure> {
    let (name, tag) = match image.split_once('@') {
        Some((name, digest)) => (name, digest),
        None => match image.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (image, "latest"),
        },
    };
    let mut pairs = vec![("fromImage", name), ("tag", tag)];
    pairs.extend(given.get("platform").map(|platform| ("platform", platform)));
    let request = Request::new(Method::Post, query("/images/create", &pairs));
    let mut response = session.client().await?.send(request).await?;
    let mut failure = None;
    response
        .body
        .values(&mut |value| {
            let text = |key: &str| {
                value
                    .get(key)
                    .and_then(|text| text.as_str())
                    .unwrap_or_default()
                    .to_owned()
            };
            if value.get("error").is_some() {
                failure = Some(text("error"));
            } else if !text("status").is_empty() && text("progress").is_empty() {
                let id = text("id");
                each(if id.is_empty() {
                    text("status")
                } else {
                    format!("{id}: {}", text("status"))
                });
            }
        })
        .await?;
    failure.map_or(Ok(()), |message| Err(Failure::new(message)))
}
