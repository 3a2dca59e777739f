//! The registry, asked by the command line itself, as docker's does for `manifest`.
//!
//! Docker's rules for `--insecure` are kept: without it, not even a registry at a loopback address is spoken to in clear.

use oci::image::{Document, Manifest};
use oci::{Digest, Reference};
use registry::client::{CERTS, Client, Options, Plain, Proxies, Repository, Scope};
use registry::wire::{Code, Errors, media};
use registry::{Cause, Error};
use serde::Deserialize;

use super::{ImageManifest, Platform};
use crate::commands::version::VERSION;
use crate::credentials;
use crate::report::Failure;
use crate::session::Session;

/// Registries, seen as one user with or without `--insecure`.
#[derive(Debug)]
pub(crate) struct Remote<'a> {
    session: &'a Session,
    insecure: bool,
}

/// What a name stands for.
pub(crate) enum Found {
    Image(Box<ImageManifest>),
    List(Vec<ImageManifest>),
}

impl<'a> Remote<'a> {
    pub(crate) fn new(session: &'a Session, insecure: bool) -> Self {
        Self { session, insecure }
    }

    fn repository(&self, name: &Reference, scope: Scope) -> Result<Repository, Failure> {
        let session = self.session;
        let options = Options {
            insecure: if self.insecure {
                vec![name.domain.clone()]
            } else {
                Vec::new()
            },
            plain: if self.insecure {
                Plain::WhenAnswered
            } else {
                Plain::Never
            },
            certs: CERTS.map(Into::into).into(),
            user_agent: format!("Corten-Client/{VERSION} (linux)"),
            proxies: Proxies::from_variables(|name| session.env.variables.get(name).cloned()),
            ..Options::default()
        };
        let client = Client::new(options).map_err(|error| Failure::new(error.to_string()))?;
        let credentials = credentials::of_registry(session, &name.domain)?;
        Ok(client.repository(name, credentials, scope))
    }

    /// The manifest of one image.
    pub(crate) async fn image(&self, reference: &Reference) -> Result<ImageManifest, Failure> {
        let repository = self.repository(reference, Scope::Pull)?;
        match fetch(&repository, reference, tag_or_digest(reference)).await? {
            (found, Document::Manifest(manifest)) => {
                image(&repository, reference, &found, &manifest).await
            }
            (_, Document::Index(_)) => Err(Failure::new(format!("{reference} is a manifest list"))),
        }
    }

    /// The manifest of one image, or all of a list, each with the platform that the list gives it.
    pub(crate) async fn find(&self, reference: &Reference) -> Result<Found, Failure> {
        let repository = self.repository(reference, Scope::Pull)?;
        let index = match fetch(&repository, reference, tag_or_digest(reference)).await? {
            (found, Document::Manifest(manifest)) => {
                let image = image(&repository, reference, &found, &manifest).await?;
                return Ok(Found::Image(Box::new(image)));
            }
            (found, Document::Index(index)) => {
                let shown: Platforms = serde_json::from_slice(&found.bytes).unwrap_or_default();
                index.manifests.into_iter().zip(shown.manifests)
            }
        };
        let mut images = Vec::new();
        for (entry, shown) in index {
            let name = Reference {
                digest: Some(entry.digest.clone()),
                ..reference.clone()
            };
            let (found, document) = fetch(&repository, &name, entry.digest.as_str()).await?;
            let Document::Manifest(manifest) = document else {
                return Err(Failure::new(
                    "unsupported manifest type: *manifestlist.DeserializedManifestList",
                ));
            };
            let mut image = image(&repository, &name, &found, &manifest).await?;
            image.descriptor.platform = Some(shown.platform.unwrap_or_default());
            images.push(image);
        }
        Ok(Found::List(images))
    }

    /// Asks the registry to take a blob from a neighbouring repository.
    pub(crate) async fn mount(
        &self,
        target: &Reference,
        source: &Reference,
        digest: &Digest,
    ) -> Result<bool, Failure> {
        let repository = self.repository(target, Scope::Push)?;
        repository
            .mount_blob(digest, &source.path)
            .await
            .map_err(|error| match transport(&error) {
                Some(text) => Failure::new(text),
                None => Failure::new(format!(
                    "failed to mount blob {}@{digest} to {target}: {}",
                    source.name(),
                    said(&error)
                )),
            })
    }

    /// Puts a manifest or a list into the registry, as it is.
    pub(crate) async fn put(
        &self,
        target: &Reference,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<Digest, Failure> {
        let repository = self.repository(target, Scope::Push)?;
        repository
            .put_manifest(tag_or_digest(target), media_type, bytes.into())
            .await
            .map_err(|error| match transport(&error) {
                Some(text) => Failure::new(text),
                None => Failure::new(format!("failed to put manifest {target}: {}", said(&error))),
            })
    }
}

async fn fetch(
    repository: &Repository,
    reference: &Reference,
    tag_or_digest: &str,
) -> Result<(registry::client::Manifest, Document), Failure> {
    let found = repository
        .manifest(tag_or_digest)
        .await
        .map_err(|error| explain(&error, reference))?;
    let known = [
        media::OCI_INDEX,
        media::OCI_MANIFEST,
        media::DOCKER_LIST,
        media::DOCKER_MANIFEST,
    ];
    if !known.contains(&found.media_type.as_str()) {
        return Err(Failure::new(format!(
            "unsupported manifest media type and no default available: {}",
            found.media_type
        )));
    }
    let document =
        Document::parse(&found.bytes).map_err(|error| Failure::new(error.to_string()))?;
    Ok((found, document))
}

/// A manifest with what its image runs on, by the word of its configuration.
async fn image(
    repository: &Repository,
    reference: &Reference,
    found: &registry::client::Manifest,
    manifest: &Manifest,
) -> Result<ImageManifest, Failure> {
    let config = &manifest.config;
    let bytes = repository
        .document(&config.digest, config.size)
        .await
        .map_err(|error| explain(&error, reference))?;
    let platform: Platform = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(format!("parse configuration of {reference}: {error}")))?;
    ImageManifest::new(reference, found, platform)
}

/// The platforms of a list with all that docker shows of them, which is more than an engine looks at.
#[derive(Default, Deserialize)]
struct Platforms {
    manifests: Vec<Shown>,
}

#[derive(Deserialize)]
struct Shown {
    platform: Option<Platform>,
}

/// A refusal in docker's words: what is not there, not for us, or no registry at all, is no such manifest.
fn explain(error: &Error, reference: &Reference) -> Failure {
    let missing = match error {
        Error::Transport { cause, .. } => *cause == Cause::PlainHttp,
        Error::Document { .. } | Error::ManifestUnknown { .. } | Error::NameUnknown { .. } => true,
        error => errors(error).is_some_and(|errors| errors.has(Code::UNAUTHORIZED)),
    };
    if missing {
        return Failure::new(format!("no such manifest: {reference}"));
    }
    Failure::new(transport(error).unwrap_or_else(|| said(error)))
}

/// A registry that was not reached at all.
fn transport(error: &Error) -> Option<String> {
    match error {
        Error::Transport { url, .. } if url.ends_with(registry::wire::path::BASE) => Some(format!(
            "failed to configure transport: error pinging v2 registry: {error}"
        )),
        _ => None,
    }
}

/// What the registry said, without the daemon's words around it.
fn said(error: &Error) -> String {
    errors(error).map_or_else(|| error.to_string(), ToString::to_string)
}

fn errors(error: &Error) -> Option<&Errors> {
    match error {
        Error::PullDenied { errors, .. }
        | Error::ManifestUnknown { errors, .. }
        | Error::NameUnknown { errors, .. }
        | Error::Registry { errors, .. } => Some(errors),
        _ => None,
    }
}

fn tag_or_digest(reference: &Reference) -> &str {
    match (&reference.digest, &reference.tag) {
        (Some(digest), _) => digest.as_str(),
        (None, Some(tag)) => tag,
        (None, None) => oci::reference::DEFAULT_TAG,
    }
}
