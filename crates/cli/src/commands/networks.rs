//! `network ls`, `rm`, `connect`, `disconnect`; `network create` and `prune` have files of their own.

use api::network::{Network, NetworkConnect, NetworkDisconnect};
use client::{Method, Request, query};
use stdx::ErrorKind;

use super::{each, segment};
use crate::flags::Given;
use crate::format::{self, Listing};
use crate::report::{self, Failure, Outcome};
use crate::session::Session;
use crate::spec::host;
use crate::template::Value;

const LISTING: Listing = Listing {
    columns: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    headings: &[
        ("ID", "NETWORK ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("CreatedAt", "CREATED AT"),
    ],
    type_name: "*network.networkContext",
};

/// `network ls [OPTIONS]`
pub(crate) async fn list(session: &Session, given: &Given) -> Outcome {
    let filters = format::filters(&given.list("filter"));
    let pairs: Vec<(&str, &str)> = filters
        .as_deref()
        .map(|filters| ("filters", filters))
        .into_iter()
        .collect();
    let request = Request::new(Method::Get, query("/networks", &pairs));
    let mut networks: Vec<Network> = session.client().await?.call(request).await?;
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    let chosen = given.get("format").filter(|format| !format.is_empty());
    let configured = || {
        session
            .config()
            .networks_format
            .as_deref()
            .filter(|format| !format.is_empty() && !given.is("quiet"))
    };
    let rows = networks
        .iter()
        .map(|network| row(network, !given.is("no-trunc")));
    report::print(&format::render(
        LISTING,
        chosen.or_else(configured),
        given.is("quiet"),
        rows,
    )?);
    Ok(0)
}

fn row(network: &Network, truncate: bool) -> Value {
    let labels = network.labels.clone().unwrap_or_default();
    let joined: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let id = if truncate {
        format::short_id(&network.id)
    } else {
        &network.id
    };
    let created = stdx::time::parse_rfc3339(&network.created)
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or_else(
            || network.created.clone(),
            |since| format::go_time(i64::try_from(since.as_secs()).unwrap_or(0)),
        );
    let fields = vec![
        ("ID", id.to_owned()),
        ("Name", network.name.clone()),
        ("Driver", network.driver.clone()),
        ("Scope", network.scope.clone()),
        ("IPv4", network.enable_ipv4.to_string()),
        ("IPv6", network.enable_ipv6.to_string()),
        ("Internal", network.internal.to_string()),
        ("Labels", joined.join(",")),
        ("CreatedAt", created),
    ];
    Value::structure(LISTING.type_name, fields).with_map("Label", labels)
}

/// `network rm NETWORK [NETWORK...]`
pub(crate) async fn remove(session: &Session, given: &Given) -> Outcome {
    let client = session.client().await?;
    each(&given.args, async |name| {
        let path = format!("/networks/{}", segment(&name));
        match client.perform(Request::new(Method::Delete, path)).await {
            Err(error) if given.is("force") && error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(Some(name)),
        }
    })
    .await
}

/// `network connect [OPTIONS] NETWORK CONTAINER`
pub(crate) async fn connect(session: &Session, given: &Given) -> Outcome {
    let (network, container) = (&given.args[0], &given.args[1]);
    let body = NetworkConnect {
        container: container.clone(),
        endpoint_config: Some(host::endpoint(given)?),
    };
    post(session, network, "connect", &body).await
}

/// `network disconnect [OPTIONS] NETWORK CONTAINER`
pub(crate) async fn disconnect(session: &Session, given: &Given) -> Outcome {
    let (network, container) = (&given.args[0], &given.args[1]);
    let body = NetworkDisconnect {
        container: container.clone(),
        force: given.is("force"),
    };
    post(session, network, "disconnect", &body).await
}

async fn post(
    session: &Session,
    network: &str,
    action: &str,
    body: &impl serde::Serialize,
) -> Outcome {
    let path = format!("/networks/{}/{action}", segment(network));
    let request = Request::new(Method::Post, path)
        .json(body)
        .map_err(Failure::from)?;
    session.client().await?.perform(request).await?;
    Ok(0)
}
