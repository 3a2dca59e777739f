//! `pull`: asks the daemon to fetch an image and shows how it goes.

use client::{Method, Request, query};

use crate::credentials;
use crate::flags::Given;
use crate::progress::{self, Sink};
use crate::reference;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;

/// `pull [OPTIONS] NAME[:TAG|@DIGEST]`
pub(crate) async fn pull(session: &Session, given: &Given) -> Outcome {
    let name = &given.args[0];
    let image = reference::familiar(name).map_err(Failure::new)?;
    let named = reference::has_tag_or_digest(name);
    let all = given.is("all-tags");
    if all && named {
        return Err(Failure::new("tag can't be used with --all-tags/-a"));
    }
    let quiet = given.is("quiet");
    if !all && !named && !quiet {
        report::print("Using default tag: latest\n");
    }
    let sink = if quiet { Sink::Nowhere } else { Sink::Stdout };
    fetch(session, &image, all, given, sink).await?;
    let full = reference::full(&image);
    report::print(&format!(
        "{}\n",
        if all {
            full.strip_suffix(":latest").unwrap_or(&full)
        } else {
            &full
        }
    ));
    Ok(0)
}

/// Fetches an image on the way to a container; progress goes to standard error.
pub(crate) async fn image(session: &Session, image: &str, given: &Given) -> Result<(), Failure> {
    let quiet = given.is("quiet");
    let sink = if quiet { Sink::Nowhere } else { Sink::Stderr };
    fetch(session, image, false, given, sink).await
}

async fn fetch(
    session: &Session,
    image: &str,
    all: bool,
    given: &Given,
    sink: Sink,
) -> Result<(), Failure> {
    let (name, tag) = reference::split(image);
    let platform = super::platform(session, given);
    let mut pairs = vec![("fromImage", name)];
    if !all {
        pairs.push(("tag", tag));
    }
    pairs.extend(platform.as_deref().map(|platform| ("platform", platform)));
    let auth = credentials::header(session, image)?;
    let request =
        Request::new(Method::Post, query("/images/create", &pairs)).field("X-Registry-Auth", auth);
    let mut response = session.client().await?.send(request).await?;
    progress::show(&mut response.body, sink).await
}
