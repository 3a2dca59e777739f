//! Networks.

use std::sync::Arc;

use api::network::{NetworkConnect, NetworkCreated, NetworkDisconnect};
use engine::ops::network as ops;
use http::StatusCode;

use super::Daemon;
use crate::answer::{Answer, empty, json, json_with, no_content};
use crate::convert;
use crate::convert::networks as wire;
use crate::error::Result;
use crate::request::Request;

/// `GET /networks`.
pub fn list(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    let filters = convert::filters(&request.query)?;
    let networks = ops::list(&daemon.engine, &filters)?;
    let networks: Vec<_> = networks.iter().map(|one| wire::network(one)).collect();
    json(&networks)
}

/// `GET /networks/{id}`.
pub fn inspect(daemon: &Arc<Daemon>, request: &Request, name: &str) -> Result<Answer> {
    if !matches!(request.query.text("scope"), "" | "local") {
        let missing = network::Error::NoSuchNetwork(name.to_owned());
        return Err(engine::Error::from(missing).into());
    }
    let (network, endpoints) = ops::inspect(&daemon.engine, name)?;
    json(&wire::inspected(&network, &endpoints))
}

/// `POST /networks/create`.
pub async fn create(daemon: &Arc<Daemon>, request: Request) -> Result<Answer> {
    let create = wire::create(request.json().await?)?;
    let id = ops::create(&daemon.engine, create).await?;
    let created = NetworkCreated {
        id,
        warning: String::new(),
    };
    json_with(StatusCode::CREATED, &created)
}

/// `DELETE /networks/{id}`.
pub async fn remove(daemon: &Arc<Daemon>, name: &str) -> Result<Answer> {
    ops::remove(&daemon.engine, name).await?;
    Ok(no_content())
}

/// `POST /networks/{id}/connect`.
pub async fn connect(daemon: &Arc<Daemon>, request: Request, name: &str) -> Result<Answer> {
    let body: NetworkConnect = request.json().await?;
    let asked = body.endpoint_config.unwrap_or_default();
    let settings = wire::settings("EndpointConfig", &asked)?;
    ops::connect(&daemon.engine, name, &body.container, settings).await?;
    Ok(empty(StatusCode::OK))
}

/// `POST /networks/{id}/disconnect`.
pub async fn disconnect(daemon: &Arc<Daemon>, request: Request, name: &str) -> Result<Answer> {
    let body: NetworkDisconnect = request.json().await?;
    ops::disconnect(&daemon.engine, name, &body.container).await?;
    Ok(empty(StatusCode::OK))
}
