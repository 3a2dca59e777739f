//! `wait`, `kill`, `stop`, `restart`, `pause`, `unpause`, `rename`: one request a container.

use api::container::WaitResponse;
use client::{Method, Request, query};

use super::{each, segment};
use crate::flags::Given;
use crate::report::{Failure, Outcome};
use crate::session::Session;

fn post(name: &str, action: &str, pairs: &[(&str, &str)]) -> Request {
    Request::new(
        Method::Post,
        query(&format!("/containers/{}/{action}", segment(name)), pairs),
    )
}

/// `wait CONTAINER...`
pub(crate) async fn wait(session: &Session, given: &Given) -> Outcome {
    let client = session.client().await?;
    each(&given.args, async |name| {
        let answer: WaitResponse = client.call(post(&name, "wait", &[])).await?;
        match answer.error.filter(|error| !error.message.is_empty()) {
            Some(error) => Err(Failure::new(error.message)),
            None => Ok(Some(answer.status_code.to_string())),
        }
    })
    .await
}

/// `kill [-s SIGNAL] CONTAINER...`
pub(crate) async fn kill(session: &Session, given: &Given) -> Outcome {
    let client = session.client().await?;
    let pairs: Vec<(&str, &str)> = given
        .get("signal")
        .map(|signal| ("signal", signal))
        .into_iter()
        .collect();
    each(&given.args, async |name| {
        client.perform(post(&name, "kill", &pairs)).await?;
        Ok(Some(name))
    })
    .await
}

/// `stop` or `restart [-s SIGNAL] [-t SECONDS] CONTAINER...`: all at once, reported in their order.
pub(crate) async fn stop(session: &Session, given: &Given, action: &str) -> Outcome {
    let client = session.client().await?;
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    pairs.extend(given.get("signal").map(|signal| ("signal", signal)));
    pairs.extend(given.get("timeout").map(|seconds| ("t", seconds)));
    let requests: Vec<_> = given
        .args
        .iter()
        .map(|name| client.perform(post(name, action, &pairs)))
        .collect();
    let mut results = crate::join::all(requests).await.into_iter();
    each(&given.args, async |name| match results.next() {
        Some(Err(error)) => Err(error.into()),
        _ => Ok(Some(name)),
    })
    .await
}

/// An action without options.
pub(crate) async fn simple(session: &Session, given: &Given, action: &str) -> Outcome {
    let client = session.client().await?;
    each(&given.args, async |name| {
        client.perform(post(&name, action, &[])).await?;
        Ok(Some(name))
    })
    .await
}

/// `rename CONTAINER NEW_NAME`
pub(crate) async fn rename(session: &Session, given: &Given) -> Outcome {
    let (old, new) = (given.args[0].trim(), given.args[1].trim());
    if old.is_empty() || new.is_empty() {
        return Err(Failure::new(
            "Error: Neither old nor new names may be empty",
        ));
    }
    let client = session.client().await?;
    match client.perform(post(old, "rename", &[("name", new)])).await {
        Ok(()) => Ok(0),
        Err(error) => {
            let mut failure = Failure::from(error);
            failure
                .text
                .push_str(&format!("\nError: failed to rename container named {old}"));
            Err(failure)
        }
    }
}
