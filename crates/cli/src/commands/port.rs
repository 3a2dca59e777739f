//! `port CONTAINER [PORT[/PROTOCOL]]`

use api::container::Inspect;
use client::{Method, Request};

use super::segment;
use crate::flags::Given;
use crate::ports;
use crate::report::{Failure, Outcome, print};
use crate::session::Session;

/// Prints where a container's ports are published.
pub(crate) async fn port(session: &Session, given: &Given) -> Outcome {
    let container = &given.args[0];
    let path = format!("/containers/{}/json", segment(container));
    let client = session.client().await?;
    let found: Inspect = client.call(Request::new(Method::Get, path)).await?;
    let published = found.network_settings.ports.unwrap_or_default();
    let lines = match given.args.get(1) {
        None => ports::mappings(&published),
        Some(asked) => {
            let (number, protocol) = asked.split_once('/').unwrap_or((asked, "tcp"));
            if number.parse::<u16>().is_err() {
                return Err(Failure::new(format!(
                    "Error: invalid port ({number}): strconv.ParseUint: parsing \"{number}\": invalid syntax"
                )));
            }
            let protocol = if protocol.is_empty() { "tcp" } else { protocol };
            ports::of(&published, &format!("{number}/{protocol}")).ok_or_else(|| {
                Failure::new(format!(
                    "Error: No public port '{asked}' published for {container}"
                ))
            })?
        }
    };
    if !lines.is_empty() {
        print(&(lines.join("\n") + "\n"));
    }
    Ok(0)
}
