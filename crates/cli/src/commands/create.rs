//! `create`, and the part of `run` that is the same: pull if needed, create, write the id down.

use api::container::{CreateRequest, CreateResponse};
use client::{Method, Request, query};
use stdx::ErrorKind;

use super::pull;
use crate::flags::Given;
use crate::reference;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;
use crate::spec;

/// `create [OPTIONS] IMAGE [COMMAND] [ARG...]`
pub(crate) async fn create(session: &Session, given: &Given) -> Outcome {
    let request = spec::build(&session.env, given)
        .map_err(|failure| with_help(session, "create", failure, 125))?;
    let id = container(session, given, &request).await?;
    report::print(&format!("{id}\n"));
    Ok(0)
}

/// A failure with docker's hint where help is to be found.
pub(crate) fn with_help(session: &Session, verb: &str, mut failure: Failure, code: i32) -> Failure {
    let program = session.program;
    failure.text = format!(
        "{program}: {}\n\nRun '{program} {verb} --help' for more information",
        failure.text
    );
    failure.code = code;
    failure
}

/// Creates a container and returns its id.
pub(crate) async fn container(
    session: &Session,
    given: &Given,
    request: &CreateRequest,
) -> Result<String, Failure> {
    let cidfile = IdFile::check(session, given)?;
    let policy = given.get("pull").unwrap_or("missing");
    if !["always", "missing", "never"].contains(&policy) {
        return Err(Failure::new(format!(
            "invalid pull option: '{policy}': must be one of \"always\", \"missing\" or \"never\""
        )));
    }
    let image = reference::familiar(&request.config.image).map_err(Failure::new)?;
    if policy == "always" {
        pull::image(session, &image, given).await?;
    }
    let created = match post(session, given, request).await {
        Err(failure) if policy == "missing" && is_missing_image(&failure) => {
            if !given.is("quiet") {
                report::print_error(&format!("Unable to find image '{image}' locally"));
            }
            pull::image(session, &image, given).await?;
            post(session, given, request).await?
        }
        other => other?,
    };
    for warning in &created.warnings {
        report::print_error(&format!("WARNING: {warning}"));
    }
    if let Some(file) = cidfile {
        file.write(&created.id)?;
    }
    Ok(created.id)
}

/// Says whether a pull may help: there is no such image, or it is for another machine than `--platform` asks for.
fn is_missing_image(failure: &Failure) -> bool {
    let text = failure.text.to_ascii_lowercase();
    failure.kind == ErrorKind::NotFound
        && (text.contains("no such image") || text.contains("the specified platform"))
}

async fn post(
    session: &Session,
    given: &Given,
    request: &CreateRequest,
) -> Result<CreateResponse, Failure> {
    let platform = super::platform(session, given);
    let name = given.get("name").map(|name| ("name", name));
    let platform = platform.as_deref().map(|platform| ("platform", platform));
    let pairs: Vec<(&str, &str)> = name.into_iter().chain(platform).collect();
    let path = query("/containers/create", &pairs);
    let request = Request::new(Method::Post, path).json(request)?;
    Ok(session.client().await?.call(request).await?)
}

/// `--cidfile`: must not exist before.
#[derive(Debug)]
struct IdFile {
    name: String,
    path: std::path::PathBuf,
}

impl IdFile {
    fn check(session: &Session, given: &Given) -> Result<Option<Self>, Failure> {
        let Some(name) = given.get("cidfile").filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let path = session.env.absolute(name);
        if path.exists() {
            return Err(Failure::new(format!(
                "container ID file found, make sure the other container isn't running or delete {name}"
            )));
        }
        Ok(Some(Self {
            name: name.to_owned(),
            path,
        }))
    }

    fn write(&self, id: &str) -> Result<(), Failure> {
        use std::io::Write;
        let failed = |error: &std::io::Error| {
            Failure::new(format!(
                "failed to create the container ID file: open {}: {}",
                self.name,
                report::reason(error)
            ))
        };
        let mut file = std::fs::File::create_new(&self.path).map_err(|error| failed(&error))?;
        file.write_all(id.as_bytes())
            .map_err(|error| failed(&error))
    }
}
