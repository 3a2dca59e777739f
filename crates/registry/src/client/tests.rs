//! The client against a real registry, and against one that misbehaves.

mod evil;
mod mirrors;
mod misbehaviour;
mod real;

use oci::Digest;
use oci::reference::Reference;
use testkit::registry::{Answer, Request};

use super::manifest::sha256;
use super::{Blob, Client, Credentials, Options, Proxies, Repository, Scope};
use crate::Result;

fn client() -> Client {
    Client::new(options()).unwrap()
}

fn options() -> Options {
    Options {
        user_agent: "corten/test".to_owned(),
        ..Options::default()
    }
}

fn name(host: &str) -> Reference {
    format!("{host}/a/b:tag").parse().unwrap()
}

fn pull(host: &str) -> Repository {
    client().repository(&name(host), Credentials::Anonymous, Scope::Pull)
}

fn user() -> Credentials {
    Credentials::Basic {
        username: "canary-user".to_owned(),
        password: "canary-password".to_owned(),
    }
}

async fn whole(blob: &mut Blob) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        bytes.extend(chunk);
    }
    Ok(bytes)
}

async fn fetch(repository: &Repository, digest: &Digest, size: usize) -> Result<Vec<u8>> {
    whole(&mut repository.blob(digest, size as u64, 0).await?).await
}

/// Content that differs everywhere.
fn content(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[2])
        .collect()
}

/// Answers the ping, and everything else by the closure.
fn registry(
    script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> testkit::registry::Scripted {
    testkit::registry::Scripted::start(move |request| match request.path.as_str() {
        "/v2/" => Answer::ok("{}"),
        _ => script(request),
    })
}
