//! `start`: many containers in the background, or one with its streams.

use api::container::Inspect;
use client::{Method, Request, query};

use super::{each, hold::Hold, run, segment};
use crate::flags::Given;
use crate::report::{Failure, Outcome};
use crate::session::Session;
use crate::streams::{End, Wiring};

/// `start [OPTIONS] CONTAINER [CONTAINER...]`
pub(crate) async fn start(session: &Session, given: &Given) -> Outcome {
    if !given.is("attach") && !given.is("interactive") {
        let client = session.client().await?;
        let mut failed = Vec::new();
        let outcome = each(&given.args, async |name| {
            match client.perform(start_request(&name)).await {
                Ok(()) => Ok(Some(name)),
                Err(error) => {
                    failed.push(name);
                    Err(error.into())
                }
            }
        });
        return outcome.await.map_err(|mut failure| {
            failure.text.push_str(&format!(
                "\nError: failed to start containers: {}",
                failed.join(", ")
            ));
            failure
        });
    }
    if given.args.len() > 1 {
        return Err(Failure::new(
            "you cannot start and attach multiple containers at once",
        ));
    }
    held(session, given).await
}

fn start_request(name: &str) -> Request {
    Request::new(Method::Post, format!("/containers/{}/start", segment(name)))
}

async fn held(session: &Session, given: &Given) -> Outcome {
    let keys = super::attach::detach_keys(session, given)?;
    let client = session.client().await?;
    let name = segment(&given.args[0]);
    let container: Inspect = client
        .call(Request::new(
            Method::Get,
            format!("/containers/{name}/json"),
        ))
        .await?;
    let (id, tty) = (container.id.as_str(), container.config.tty);
    let stdin = given.is("interactive") && container.config.open_stdin;
    if tty && stdin && !session.env.stdin_is_terminal {
        return Err(Failure::new("the input device is not a TTY"));
    }
    let mut pairs = vec![("stream", "1"), ("stdout", "1"), ("stderr", "1")];
    if stdin {
        pairs.push(("stdin", "1"));
    }
    let stream = Request::new(
        Method::Post,
        query(&format!("/containers/{id}/attach"), &pairs),
    );
    let wait = run::wait_request(id, container.host_config.auto_remove);
    let (attached, waiting) = tokio::try_join!(client.hijack(stream), client.send(wait))?;
    let wiring = Wiring {
        stdin,
        tty,
        detach_keys: keys,
    };
    let mut hold = Hold::container(client, id, wiring, given);
    client.perform(start_request(id)).await?;
    let end = hold.streams(attached).await?;
    if end == End::Detached {
        return Ok(0);
    }
    hold.exit_code(waiting).await
}
