//! Programs that keep credentials: `docker-credential-NAME get|store|erase`, what they need on their input.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Stdio;

use serde::Deserialize;
use serde_json::json;

use crate::report::{Failure, reason};
use crate::session::Session;

/// What a helper answers where it knows nothing.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The longest answer.
const MAX_ANSWER: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

/// User and secret, if the helper knows the server.
pub(super) fn get(
    session: &Session,
    helper: &str,
    server: &str,
) -> Result<Option<(String, String)>, Failure> {
    match run(session, helper, "get", server.as_bytes())? {
        Ok(answer) => {
            let kept: Kept = serde_json::from_slice(&answer).map_err(|error| {
                Failure::new(format!(
                    "error getting credentials - err: docker-credential-{helper} answers nonsense: {error}"
                ))
            })?;
            Ok(Some((kept.username, kept.secret)))
        }
        Err(text) if text.contains(NOT_FOUND) => Ok(None),
        Err(text) => Err(Failure::new(format!(
            "error getting credentials - err: exit status 1, out: `{text}`"
        ))),
    }
}

/// Gives the helper a secret to keep.
pub(super) fn store(
    session: &Session,
    helper: &str,
    server: &str,
    user: &str,
    secret: &str,
) -> Result<(), Failure> {
    let kept = json!({"ServerURL": server, "Username": user, "Secret": secret}).to_string();
    match run(session, helper, "store", kept.as_bytes())? {
        Ok(_) => Ok(()),
        Err(text) => Err(Failure::new(format!(
            "error saving credentials: error storing credentials - err: exit status 1, out: `{text}`"
        ))),
    }
}

/// Makes the helper forget.
pub(super) fn erase(session: &Session, helper: &str, server: &str) -> Result<(), Failure> {
    match run(session, helper, "erase", server.as_bytes())? {
        Ok(_) => Ok(()),
        Err(text) if text.contains(NOT_FOUND) => Ok(()),
        Err(text) => Err(Failure::new(format!(
            "error erasing credentials - err: exit status 1, out: `{text}`"
        ))),
    }
}

/// What it answers, or what it says when it fails.
fn run(
    session: &Session,
    helper: &str,
    verb: &str,
    input: &[u8],
) -> Result<Result<Vec<u8>, String>, Failure> {
    let program = find(session, helper)?;
    let failed = |error: std::io::Error| {
        Failure::new(format!(
            "error getting credentials - err: exec: \"docker-credential-{helper}\": {}",
            reason(&error)
        ))
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "this process is small and has one thread; a helper may be a script, which cannot be started by its descriptor"
    )]
    let mut child = std::process::Command::new(program)
        .arg(verb)
        .env_clear()
        .envs(&session.env.variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not listen says why in its answer.
        drop(stdin.write_all(input));
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout
            .take(MAX_ANSWER)
            .read_to_end(&mut answer)
            .map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    Ok(if status.success() {
        Ok(answer)
    } else {
        Err(String::from_utf8_lossy(&answer).trim().to_owned())
    })
}

/// Looks the program up; its name is never a path.
fn find(session: &Session, helper: &str) -> Result<PathBuf, Failure> {
    let name = format!("docker-credential-{helper}");
    let path = session.env.variable("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .filter(|directory| directory.starts_with('/') && !helper.contains('/'))
        .map(|directory| PathBuf::from(directory).join(&name))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        Failure::new(format!(
            "error getting credentials - err: exec: \"{name}\": executable file not found in $PATH, out: ``"
        ))
    })
}
