//! `attach`: the streams of a running container, until it ends or the user detaches.

use api::container::Inspect;
use client::{Method, Request, query};

use super::{hold::Hold, segment};
use crate::flags::Given;
use crate::report::{Failure, Outcome};
use crate::session::Session;
use crate::streams::{End, Wiring};
use crate::terminal;

/// `attach [OPTIONS] CONTAINER`
pub(crate) async fn attach(session: &Session, given: &Given) -> Outcome {
    let keys = detach_keys(session, given)?;
    let client = session.client().await?;
    let name = segment(&given.args[0]);
    let container: Inspect = client
        .call(Request::new(
            Method::Get,
            format!("/containers/{name}/json"),
        ))
        .await?;
    if !container.state.running {
        return Err(Failure::new(
            "You cannot attach to a stopped container, start it first",
        ));
    }
    if container.state.paused {
        return Err(Failure::new(
            "You cannot attach to a paused container, unpause it first",
        ));
    }
    if container.state.restarting {
        return Err(Failure::new(
            "You cannot attach to a restarting container, wait until it is running",
        ));
    }
    let tty = container.config.tty;
    let stdin = container.config.open_stdin && !given.is("no-stdin");
    if tty && stdin && !session.env.stdin_is_terminal {
        return Err(Failure::new("the input device is not a TTY"));
    }
    let id = container.id.as_str();
    let mut pairs = vec![("stream", "1"), ("stdout", "1"), ("stderr", "1")];
    if stdin {
        pairs.push(("stdin", "1"));
    }
    let wait = Request::new(Method::Post, format!("/containers/{id}/wait"));
    let stream = Request::new(
        Method::Post,
        query(&format!("/containers/{id}/attach"), &pairs),
    );
    let (waiting, attached) = tokio::try_join!(client.send(wait), client.hijack(stream))?;
    let wiring = Wiring {
        stdin,
        tty,
        detach_keys: keys,
    };
    let mut hold = Hold::container(client, id, wiring, given);
    let end = hold.streams(attached).await?;
    if end == End::Detached {
        return Err(Failure::new("read escape sequence"));
    }
    hold.exit_code(waiting).await
}

/// The keys that detach: the flag's, the configuration's, or `ctrl-p,ctrl-q`.
pub(crate) fn detach_keys(session: &Session, given: &Given) -> Result<Vec<u8>, Failure> {
    let keys = given.get("detach-keys").filter(|keys| !keys.is_empty());
    // The configuration is read only where a terminal is held.
    let configured = || {
        session
            .config()
            .detach_keys
            .as_deref()
            .filter(|keys| !keys.is_empty())
    };
    let keys = if session.env.stdin_is_terminal {
        keys.or_else(configured)
    } else {
        keys
    };
    terminal::detach_keys(keys.unwrap_or("ctrl-p,ctrl-q"))
}
