//! Registries: credentials, and what a name points at.

use std::sync::Arc;

use engine::ops::image as ops;

use super::Daemon;
use crate::answer::{Answer, json};
use crate::convert::registry as convert;
use crate::error::Result;
use crate::request::Request;

/// `POST /auth`.
pub async fn login(daemon: &Arc<Daemon>, request: Request) -> Result<Answer> {
    let auth: api::auth::AuthConfig = request.json().await?;
    let host = convert::host(&auth.serveraddress);
    let token = ops::login(&daemon.engine, &host, &convert::credentials(&auth)).await?;
    json(&api::auth::LoggedIn {
        identity_token: token.unwrap_or_default(),
        status: "Login Succeeded".to_owned(),
    })
}

/// `GET /distribution/{name}/json`.
pub async fn distribution(daemon: &Arc<Daemon>, request: &Request, name: &str) -> Result<Answer> {
    let reference = convert::reference(name)?;
    let credentials = convert::header(request);
    let found = ops::distribution(&daemon.engine, &reference, &credentials).await?;
    json(&convert::distribution(&found))
}

/// `GET /images/search`.
pub async fn search(daemon: &Arc<Daemon>, request: &Request) -> Result<Answer> {
    let filters = crate::convert::filters(&request.query)?;
    let limit = convert::limit(&request.query)?;
    let (term, credentials) = (request.query.text("term"), convert::header(request));
    let found = ops::search(&daemon.engine, term, limit, &filters, &credentials).await?;
    json(&found.iter().map(convert::found).collect::<Vec<_>>())
}
