//! Holding the streams of a container or of a process in it: input, output, signals and the terminal's size.

use api::container::WaitResponse;
use client::{Client, Hijacked, Response};

use crate::flags::Given;
use crate::report::{Failure, Outcome};
use crate::signals::{self, Signals};
use crate::streams::{self, End, Wiring};
use crate::terminal;

/// What is held.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    client: &'a Client,
    /// The path of the object whose terminal is resized.
    target: String,
    id: &'a str,
    wiring: Wiring,
    signals: Option<Signals>,
}

impl<'a> Hold<'a> {
    /// Holds a container; catches the client's signals from now on unless the container has a terminal, through which
    /// the keys reach it by themselves.
    pub(crate) fn container(
        client: &'a Client,
        id: &'a str,
        wiring: Wiring,
        given: &Given,
    ) -> Self {
        let proxied = (!given.has("sig-proxy") || given.is("sig-proxy")) && !wiring.tty;
        let signals = proxied.then(Signals::catch);
        Self {
            client,
            target: format!("/containers/{id}"),
            id,
            wiring,
            signals,
        }
    }

    /// Holds a process in a container; signals stay with the client.
    pub(crate) fn exec(client: &'a Client, id: &'a str, wiring: Wiring) -> Self {
        Self {
            client,
            target: format!("/exec/{id}"),
            id,
            wiring,
            signals: None,
        }
    }

    /// Copies the streams until they end or the user detaches.
    pub(crate) async fn streams(&mut self, attached: Hijacked) -> Result<End, Failure> {
        let raw = (self.wiring.tty && self.wiring.stdin)
            .then(terminal::raw)
            .transpose()?;
        let resizing = async {
            if self.wiring.tty {
                terminal::follow_size(self.client, &self.target).await;
            }
            std::future::pending::<()>().await;
        };
        let end = tokio::select! {
            end = streams::copy(attached, &self.wiring) => end,
            () = signals::forward(self.signals.as_mut(), self.client, self.id) => Ok(End::Finished),
            () = resizing => Ok(End::Finished),
        };
        drop(raw);
        end
    }

    /// Waits until the daemon knows the exit code.
    pub(crate) async fn exit_code(&mut self, mut waiting: Response) -> Outcome {
        let answer: WaitResponse = tokio::select! {
            answer = waiting.body.json() => answer?,
            () = signals::forward(self.signals.as_mut(), self.client, self.id) => WaitResponse::default(),
        };
        if let Some(error) = answer.error.filter(|error| !error.message.is_empty()) {
            return Err(Failure::new(format!(
                "Error waiting for container: {}",
                error.message
            )));
        }
        Ok(i32::try_from(answer.status_code).unwrap_or(1))
    }
}
