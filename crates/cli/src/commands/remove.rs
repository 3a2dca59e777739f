//! `rm` and `rmi`.

use api::image::DeleteItem;
use client::{Method, Request, query};
use stdx::ErrorKind;

use super::{each, platforms, segment};
use crate::flags::Given;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;

/// `rm [OPTIONS] CONTAINER...`
pub(crate) async fn containers(session: &Session, given: &Given) -> Outcome {
    let client = session.client().await?;
    let mut pairs = Vec::new();
    for (flag, key) in [("volumes", "v"), ("link", "link"), ("force", "force")] {
        if given.is(flag) {
            pairs.push((key, "1"));
        }
    }
    each(&given.args, async |name| {
        let trimmed = name.trim_matches('/');
        if trimmed.is_empty() {
            return Err(Failure::new("Container name cannot be empty"));
        }
        let path = query(&format!("/containers/{}", segment(trimmed)), &pairs);
        match client.perform(Request::new(Method::Delete, path)).await {
            // `rm -f` of what is not there says so and succeeds.
            Err(error) if given.is("force") && error.kind() == ErrorKind::NotFound => {
                report::print_error(&Failure::from(error).text);
                Ok(None)
            }
            Err(error) => Err(error.into()),
            Ok(()) => Ok(Some(name)),
        }
    })
    .await
}

/// `rmi [OPTIONS] IMAGE...`
pub(crate) async fn images(session: &Session, given: &Given) -> Outcome {
    let client = session.client().await?;
    let platforms = platforms(given, "")?;
    let asked = platforms.iter();
    let mut pairs: Vec<(&str, &str)> = asked
        .map(|platform| ("platforms", platform.as_str()))
        .collect();
    if given.is("force") {
        pairs.push(("force", "1"));
    }
    if given.is("no-prune") {
        pairs.push(("noprune", "1"));
    }
    each(&given.args, async |name| {
        let path = query(&format!("/images/{}", segment(&name)), &pairs);
        let removed: Result<Vec<DeleteItem>, _> =
            client.call(Request::new(Method::Delete, path)).await;
        match removed {
            Err(error) if given.is("force") && error.kind() == ErrorKind::NotFound => {
                report::print_error(&Failure::from(error).text);
                Ok(None)
            }
            Err(error) => Err(error.into()),
            Ok(items) => Ok(Some(items.iter().map(line).collect::<Vec<_>>().join("\n"))
                .filter(|text| !text.is_empty())),
        }
    })
    .await
}

fn line(item: &DeleteItem) -> String {
    if item.deleted.is_empty() {
        format!("Untagged: {}", item.untagged)
    } else {
        format!("Deleted: {}", item.deleted)
    }
}
