//! `exec`: a further process in a running container.

use api::exec::{ExecCreateRequest, ExecInspect, ExecStartRequest, IdResponse};
use client::{Client, Method, Request};

use super::{attach, hold::Hold, segment};
use crate::flags::Given;
use crate::report::{Failure, Outcome};
use crate::session::Session;
use crate::spec::file;
use crate::streams::{End, Wiring};
use crate::terminal;

/// `exec [OPTIONS] CONTAINER COMMAND [ARG...]`
pub(crate) async fn exec(session: &Session, given: &Given) -> Outcome {
    let (detach, tty) = (given.is("detach"), given.is("tty"));
    let stdin = given.is("interactive") && !detach;
    if tty && stdin && !session.env.stdin_is_terminal {
        return Err(Failure::new("the input device is not a TTY"));
    }
    let console_size = tty.then(terminal::console_size).flatten();
    let request = ExecCreateRequest {
        user: given.text("user"),
        privileged: given.is("privileged"),
        tty,
        console_size,
        attach_stdin: stdin,
        attach_stdout: !detach,
        attach_stderr: !detach,
        detach_keys: given.text("detach-keys"),
        env: Some(file::environment(&session.env, given)?).filter(|env| !env.is_empty()),
        working_dir: given.text("workdir"),
        cmd: Some(given.args[1..].to_vec()),
        detach,
    };
    let keys = attach::detach_keys(session, given)?;
    let client = session.client().await?;
    let path = format!("/containers/{}/exec", segment(&given.args[0]));
    let created: IdResponse = client
        .call(Request::new(Method::Post, path).json(&request)?)
        .await?;
    if created.id.is_empty() {
        return Err(Failure::new("exec ID empty"));
    }
    let start = Request::new(Method::Post, format!("/exec/{}/start", created.id)).json(
        &ExecStartRequest {
            detach,
            tty,
            console_size,
        },
    )?;
    if detach {
        client.perform(start).await?;
        return Ok(0);
    }
    let attached = client.hijack(start).await?;
    let mut hold = Hold::exec(
        client,
        &created.id,
        Wiring {
            stdin,
            tty,
            detach_keys: keys,
        },
    );
    match hold.streams(attached).await? {
        End::Detached => Ok(0),
        End::Finished => exit_code(client, &created.id).await,
    }
}

/// The process's exit code. The stream may end a moment before the daemon has it.
async fn exit_code(client: &Client, id: &str) -> Outcome {
    for _ in 0..500 {
        let state: ExecInspect = client
            .call(Request::new(Method::Get, format!("/exec/{id}/json")))
            .await?;
        if !state.running {
            return Ok(state
                .exit_code
                .and_then(|code| i32::try_from(code).ok())
                .unwrap_or(0));
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    // The command runs on with its output closed; docker reports success as well.
    Ok(0)
}
