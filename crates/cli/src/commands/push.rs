//! `push`: asks the daemon to send an image to its registry and shows how it goes.

use client::{Method, Request, query};

use super::{platforms, segment};
use crate::credentials;
use crate::flags::Given;
use crate::progress::{self, Sink};
use crate::reference;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;

/// `push [OPTIONS] NAME[:TAG]`
pub(crate) async fn push(session: &Session, given: &Given) -> Outcome {
    let name = &given.args[0];
    let image = reference::familiar(name).map_err(Failure::new)?;
    let named = reference::has_tag_or_digest(name);
    let (all, quiet) = (given.is("all-tags"), given.is("quiet"));
    if all && named {
        return Err(Failure::new("tag can't be used with --all-tags/-a"));
    }
    if !all && !named && !quiet {
        report::print("Using default tag: latest\n");
    }
    let (repository, tag) = reference::split(&image);
    let platforms = platforms(given, "invalid platform: ")?;
    let mut pairs = Vec::new();
    if !all {
        pairs.push(("tag", tag));
    }
    pairs.extend(
        platforms
            .last()
            .map(|platform| ("platform", platform.as_str())),
    );
    let path = query(&format!("/images/{}/push", segment(repository)), &pairs);
    let auth = credentials::header(session, &image)?;
    let request = Request::new(Method::Post, path).field("X-Registry-Auth", auth);
    let mut response = session.client().await?.send(request).await?;
    let sink = if quiet { Sink::Nowhere } else { Sink::Stdout };
    progress::show(&mut response.body, sink).await?;
    if quiet {
        let full = reference::full(&image);
        let full = if all {
            full.strip_suffix(":latest").unwrap_or(&full)
        } else {
            &full
        };
        report::print(&format!("{full}\n"));
    }
    Ok(0)
}
