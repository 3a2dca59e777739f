//! Credentials in `config.json`: not encrypted, and docker says so.

use std::path::{Path, PathBuf};

use api::auth::AuthConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::report::{Failure, print_error, reason};
use crate::session::Session;

/// What is kept is a user and a password in one text.
pub(super) fn decode(kept: &AuthConfig, server: &str) -> AuthConfig {
    let joined = STANDARD
        .decode(&kept.auth)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let mut auth = AuthConfig {
        serveraddress: server.to_owned(),
        auth: String::new(),
        ..kept.clone()
    };
    if let Some((user, password)) = joined.as_deref().and_then(|text| text.split_once(':')) {
        user.clone_into(&mut auth.username);
        password
            .trim_end_matches('\0')
            .clone_into(&mut auth.password);
    }
    auth
}

/// Writes credentials down.
pub(super) fn store(session: &Session, auth: &AuthConfig) -> Result<(), Failure> {
    let joined = STANDARD.encode(format!("{}:{}", auth.username, auth.password));
    let mut kept = if auth.identitytoken.is_empty() {
        json!({ "auth": joined })
    } else {
        let user = STANDARD.encode(format!("{}:", auth.username));
        json!({ "auth": user, "identitytoken": auth.identitytoken })
    };
    change(session, |auths| {
        auths.insert(auth.serveraddress.clone(), kept.take());
    })?;
    if auth.identitytoken.is_empty() {
        print_error(&format!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this \
             warning. See\nhttps://docs.docker.com/go/credential-store/\n",
            path(session).display()
        ));
    }
    Ok(())
}

/// Notes that a helper keeps credentials.
pub(super) fn note(session: &Session, server: &str) -> Result<(), Failure> {
    change(session, |auths| {
        auths.insert(server.to_owned(), json!({}));
    })
}

/// Takes credentials away.
pub(super) fn erase(session: &Session, server: &str) -> Result<(), Failure> {
    if !session.config().auths.contains_key(server) {
        return Ok(());
    }
    change(session, |auths| {
        auths.remove(server);
    })
}

fn path(session: &Session) -> PathBuf {
    Path::new(session.config_directory()).join("config.json")
}

/// Changes the credentials in the file and nothing else in it. A link to the file stays a link.
fn change(session: &Session, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), Failure> {
    let path = path(session);
    let failed = |why: String| Failure::new(format!("error saving credentials: {why}"));
    let mut config = match std::fs::read(&path) {
        Ok(text) if text.trim_ascii().is_empty() => json!({}),
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|error| failed(format!("parse {}: {error}", path.display())))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => json!({}),
        Err(error) => {
            return Err(failed(format!(
                "open {}: {}",
                path.display(),
                reason(&error)
            )));
        }
    };
    let fields = config
        .as_object_mut()
        .ok_or_else(|| failed(format!("{} holds no object", path.display())))?;
    let auths = fields.entry("auths").or_insert_with(|| json!({}));
    if !auths.is_object() {
        *auths = json!({});
    }
    if let Some(auths) = auths.as_object_mut() {
        change(auths);
    }
    let text = to_text(&config).map_err(|error| failed(error.to_string()))?;
    let target = std::fs::canonicalize(&path).unwrap_or(path);
    if let Some(directory) = target.parent() {
        store::create_dir_all(directory).map_err(|error| failed(error.to_string()))?;
    }
    store::write_atomic(&target, &text, false).map_err(|error| failed(error.to_string()))
}

/// Indented by tabs, as docker writes it.
fn to_text(config: &Value) -> serde_json::Result<Vec<u8>> {
    use serde::Serialize as _;
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    config.serialize(&mut serde_json::Serializer::with_formatter(
        &mut text, format,
    ))?;
    Ok(text)
}
