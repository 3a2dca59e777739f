//! `push`: asks the daemon to send an image to its registry and shows how it goes.

use client::{Method, Request, query};

use super::segment;
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
    let platform = given.get("platform").map(platform_json).transpose()?;
    let mut pairs = Vec::new();
    if !all {
        pairs.push(("tag", tag));
    }
    pairs.extend(platform.as_deref().map(|platform| ("platform", platform)));
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

/// A platform as the API takes it.
fn platform_json(text: &str) -> Result<String, Failure> {
    let mut words = text.split('/');
    let (Some(os), Some(architecture), variant, None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Failure::new(format!(
            "invalid platform: {text:?} is not of the form os/arch[/variant]"
        )));
    };
    let mut platform = serde_json::json!({"os": os, "architecture": architecture});
    if let Some(variant) = variant {
        platform["variant"] = variant.into();
    }
    Ok(platform.to_string())
}
