//! `version`, and the short form `--version`.

use api::system::Version;
use client::{Method, Request};
use serde::Serialize;

use crate::flags::Given;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;
use crate::template::{Mode, Template, Value};

/// The program's own version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `--version`
pub(crate) fn short(session: &Session) -> i32 {
    let name = if session.program == "docker" {
        "Docker"
    } else {
        "Corten"
    };
    report::print(&format!("{name} version {VERSION}, build corten\n"));
    0
}

/// What templates see.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Both {
    client: Own,
    server: Option<Version>,
}

/// The client's half.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Own {
    platform: api::system::PlatformName,
    version: &'static str,
    api_version: String,
    #[serde(rename = "DefaultAPIVersion")]
    default_api_version: String,
    git_commit: &'static str,
    go_version: &'static str,
    os: &'static str,
    arch: &'static str,
    build_time: &'static str,
    context: String,
}

fn own(session: &Session) -> Own {
    let api_version = api::version::MAXIMUM.to_string();
    Own {
        platform: api::system::PlatformName {
            name: "Corten".to_owned(),
        },
        version: VERSION,
        api_version: session
            .env
            .variable("DOCKER_API_VERSION")
            .unwrap_or(&api_version)
            .to_owned(),
        default_api_version: api_version,
        git_commit: "corten",
        go_version: "none (Rust)",
        os: std::env::consts::OS,
        arch: architecture(),
        build_time: "",
        context: session.context_name(),
    }
}

/// The processor in Go's words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// `version [--format FORMAT]`
pub(crate) async fn version(session: &Session, given: &Given) -> Outcome {
    let template = match given.get("format") {
        None | Some("" | "json") => None,
        Some(source) => {
            let parsed = Template::parse(source);
            Some(parsed.map_err(|error| {
                Failure::new(format!("template parsing error: {error}")).with_code(64)
            })?)
        }
    };
    let asked = async {
        let client = session.client().await?;
        Ok::<Version, Failure>(client.call(Request::new(Method::Get, "/version")).await?)
    };
    let (server, failure) = match asked.await {
        Ok(server) => (Some(server), None),
        Err(failure) => (None, Some(failure)),
    };
    let both = Both {
        client: own(session),
        server,
    };
    let json = serde_json::to_vec(&both).map_err(|error| Failure::new(error.to_string()))?;
    match (template, given.get("format")) {
        (Some(template), _) => {
            let value = Value::from_json(&json).map_err(|error| Failure::new(error.to_string()))?;
            let text = template.render(&value, Mode::Values);
            report::print(
                &(text
                    .map_err(|error| Failure::new(format!("template parsing error: {error}")))?
                    + "\n"),
            );
        }
        (None, Some("json")) => report::print(&format!("{}\n", String::from_utf8_lossy(&json))),
        (None, _) => report::print(&text(&both)),
    }
    failure.map_or(Ok(0), Err)
}

fn text(both: &Both) -> String {
    let mut text = String::new();
    let client = &both.client;
    let rows = [
        ("Version", client.version.to_owned()),
        ("API version", client.api_version.clone()),
        ("OS/Arch", format!("{}/{}", client.os, client.arch)),
        ("Context", client.context.clone()),
    ];
    text.push_str("Client: Corten\n");
    for (name, value) in rows {
        push(&mut text, &format!(" {:<18} {value}", format!("{name}:")));
    }
    let Some(server) = &both.server else {
        return text;
    };
    push(&mut text, &format!("\nServer: {}", server.platform.name));
    let api = format!(
        "{} (minimum version {})",
        server.api_version, server.min_api_version
    );
    let engine = [
        ("Version", server.version.clone()),
        ("API version", api),
        ("Go version", server.go_version.clone()),
        ("Git commit", server.git_commit.clone()),
        ("Built", server.build_time.clone()),
        ("OS/Arch", format!("{}/{}", server.os, server.arch)),
        ("Experimental", server.experimental.to_string()),
    ];
    text.push_str(" Engine:\n");
    for (name, value) in engine {
        if !value.is_empty() {
            push(&mut text, &format!("  {:<17} {value}", format!("{name}:")));
        }
    }
    for component in server
        .components
        .iter()
        .filter(|component| component.name != "Engine")
    {
        push(&mut text, &format!(" {}:", component.name));
        push(
            &mut text,
            &format!("  {:<17} {}", "Version:", component.version),
        );
        if let Some(commit) = component.details.get("GitCommit") {
            push(&mut text, &format!("  {:<17} {commit}", "GitCommit:"));
        }
    }
    text
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
