//! `run`: create, attach, start, wait. Three round trips when the container's output is followed, two with `-d`.

use api::container::CreateRequest;
use client::{Client, Method, Request, query};

use super::create;
use super::hold::Hold;
use crate::flags::Given;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;
use crate::streams::{End, Wiring};
use crate::{spec, terminal};

/// Docker's answer when the container could not be made or its end is not known.
const DAEMON_FAILED: i32 = 125;

/// `run [OPTIONS] IMAGE [COMMAND] [ARG...]`
pub(crate) async fn run(session: &Session, given: &Given) -> Outcome {
    let failed = |failure: Failure| create::with_help(session, "run", failure, DAEMON_FAILED);
    let mut request = spec::build(&session.env, given).map_err(failed)?;
    let detached = given.is("detach");
    if detached {
        if given.has("attach") {
            return Err(Failure::new(
                "conflicting options: cannot specify both --attach and --detach",
            ));
        }
        request.config.attach_stdin = false;
        request.config.attach_stdout = false;
        request.config.attach_stderr = false;
        request.config.stdin_once = false;
    } else if request.config.attach_stdin && request.config.tty && !session.env.stdin_is_terminal {
        return Err(Failure::new("the input device is not a TTY"));
    }
    if request.config.tty
        && let (Some(host), Some(size)) = (&mut request.host_config, terminal::console_size())
    {
        host.console_size = size;
    }
    let detach_keys = super::attach::detach_keys(session, given)?;
    let id = create::container(session, given, &request)
        .await
        .map_err(failed)?;
    let client = session.client().await.map_err(failed)?;
    if detached {
        start(client, &id)
            .await
            .map_err(|failure| start_failed(session, failure))?;
        report::print(&format!("{id}\n"));
        return Ok(0);
    }
    let followed = Followed {
        session,
        client,
        id: &id,
        request: &request,
        given,
        detach_keys,
    };
    followed.follow().await
}

/// A container whose streams the client holds.
#[derive(Debug)]
struct Followed<'a> {
    session: &'a Session,
    client: &'a Client,
    id: &'a str,
    request: &'a CreateRequest,
    given: &'a Given,
    detach_keys: Vec<u8>,
}

impl Followed<'_> {
    async fn follow(self) -> Outcome {
        let failed = |error: client::Error| {
            create::with_help(self.session, "run", error.into(), DAEMON_FAILED)
        };
        let wait = wait_request(self.id, self.given.is("rm"));
        let (attached, waiting) = tokio::try_join!(
            self.client.hijack(self.attach_request()),
            self.client.send(wait)
        )
        .map_err(failed)?;
        let config = &self.request.config;
        let wiring = Wiring {
            stdin: config.attach_stdin,
            tty: config.tty,
            detach_keys: self.detach_keys.clone(),
        };
        let mut hold = Hold::container(self.client, self.id, wiring, self.given);
        if let Err(failure) = start(self.client, self.id).await {
            drop(attached);
            if self.given.is("rm") {
                let removed = tokio::time::timeout(
                    std::time::Duration::from_secs(10),
                    hold.exit_code(waiting),
                );
                drop(removed.await);
            }
            return Err(start_failed(self.session, failure));
        }
        if hold.streams(attached).await? == End::Detached {
            return Ok(0);
        }
        hold.exit_code(waiting)
            .await
            .map_err(|failure| failure.with_code(DAEMON_FAILED))
    }

    fn attach_request(&self) -> Request {
        let config = &self.request.config;
        let mut pairs = vec![("stream", "1")];
        let streams = [
            ("stdin", config.attach_stdin),
            ("stdout", config.attach_stdout),
            ("stderr", config.attach_stderr),
        ];
        pairs.extend(
            streams
                .iter()
                .filter(|(_, wanted)| *wanted)
                .map(|(name, _)| (*name, "1")),
        );
        let keys = self.given.text("detach-keys");
        if !keys.is_empty() {
            pairs.push(("detachKeys", &keys));
        }
        Request::new(
            Method::Post,
            query(&format!("/containers/{}/attach", self.id), &pairs),
        )
    }
}

/// Asks to be told how the container ends, before it starts.
pub(crate) fn wait_request(id: &str, removed: bool) -> Request {
    let condition = if removed { "removed" } else { "next-exit" };
    Request::new(
        Method::Post,
        query(
            &format!("/containers/{id}/wait"),
            &[("condition", condition)],
        ),
    )
}

async fn start(client: &Client, id: &str) -> Result<(), Failure> {
    Ok(client
        .perform(Request::new(
            Method::Post,
            format!("/containers/{id}/start"),
        ))
        .await?)
}

/// 127 for a command that is not there, 126 for one that cannot be run, else 125.
fn start_failed(session: &Session, failure: Failure) -> Failure {
    let code = start_exit_code(&failure.text);
    create::with_help(session, "run", failure, code)
}

fn start_exit_code(text: &str) -> i32 {
    let says = |phrase: &str| text.contains(phrase);
    if says("executable file not found")
        || says("no such file or directory")
        || says("system cannot find the file")
    {
        127
    } else if says("permission denied") || says("is a directory") {
        126
    } else {
        DAEMON_FAILED
    }
}

#[cfg(test)]
mod tests {
    use super::start_exit_code;

    #[test]
    fn start_failures_have_dockers_exit_codes() {
        for (text, code) in [
            (
                "exec: \"x\": executable file not found in $PATH: unknown",
                127,
            ),
            ("exec: \"/x\": stat /x: no such file or directory", 127),
            ("exec: \"/etc\": permission denied", 126),
            ("exec: \"/etc\": is a directory", 126),
            ("no space left on device", 125),
        ] {
            assert_eq!(start_exit_code(text), code, "{text}");
        }
    }
}
