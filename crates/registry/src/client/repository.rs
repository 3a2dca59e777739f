//! A repository in a registry: which place is asked, and what its refusals mean.

use std::sync::Arc;

use ::http::{Method, Response, StatusCode, header};
use bytes::Bytes;
use hyper::body::Incoming;
use oci::Digest;
use oci::reference::Reference;

use super::endpoint::{Asker, Endpoint, Registry};
use super::http::{Call, read, refused};
use super::{Credentials, Shared};
use crate::wire::{Code, link, path};
use crate::{Error, Result};

/// Tags of one page, and pages. A registry may send fewer.
const PAGE: usize = 1000;
const MAX_PAGES: usize = 1000;
/// Bytes of a page, and all tags.
const MAX_PAGE: usize = 4 << 20;
const MAX_TAGS: usize = 1_000_000;

/// What a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push,
}

/// A manifest, or an index: its bytes hash to its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// As the registry calls it.
    pub media_type: String,
    /// Of the bytes.
    pub digest: Digest,
    /// What was verified, 4 MiB at most: of a signed schema 1 manifest the payload, of others all that came.
    pub bytes: Bytes,
}

/// A repository in a registry, seen with some credentials. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(super) shared: Arc<Shared>,
    registry: Result<Arc<Registry>>,
    pub(super) name: Reference,
    credentials: Credentials,
    scope: Scope,
    scopes: Vec<String>,
}

/// What a place is asked for, which not every mirror has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Content by digest.
    Content,
    /// What a tag stands for.
    Tag,
    /// Writing.
    Push,
}

impl Repository {
    pub(super) fn new(
        shared: Arc<Shared>,
        registry: Result<Arc<Registry>>,
        name: &Reference,
        credentials: Credentials,
        scope: Scope,
    ) -> Self {
        let actions = match scope {
            Scope::Pull => "pull",
            Scope::Push => "pull,push",
        };
        Self {
            shared,
            registry,
            name: name.clone(),
            credentials,
            scope,
            scopes: vec![format!("repository:{}:{actions}", name.path)],
        }
    }

    /// The same with one more scope.
    pub(super) fn asker<'a>(&'a self, scopes: &'a [String]) -> Asker<'a> {
        Asker {
            credentials: &self.credentials,
            scopes,
        }
    }

    pub(super) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The places for a need, mirrors first.
    pub(super) fn endpoints(&self, need: Need) -> Result<Vec<&Endpoint>> {
        let registry = self.registry.as_ref().map_err(Clone::clone)?;
        let endpoints: Vec<&Endpoint> = registry
            .endpoints
            .iter()
            .filter(|endpoint| match need {
                Need::Content => endpoint.place.pull,
                Need::Tag => endpoint.place.resolve,
                Need::Push => endpoint.place.push,
            })
            .collect();
        if endpoints.is_empty() {
            return Err(Error::Settings(format!(
                "no host of registry {} is configured for this",
                self.name.domain
            )));
        }
        Ok(endpoints)
    }

    /// Sends a request to one place, as this repository's user.
    pub(super) async fn ask(
        &self,
        endpoint: &Endpoint,
        method: Method,
        path: &str,
        fill: impl Fn(&mut Call),
    ) -> Result<(Call, Response<Incoming>)> {
        endpoint
            .send(&self.shared, self.asker(&self.scopes), method, path, fill)
            .await
    }

    /// A refusal in Docker's words. `reference`: the tag or digest that was asked for.
    pub(super) fn explain(&self, error: Error, reference: Option<&str>) -> Error {
        let Error::Registry { errors, status } = error else {
            return error;
        };
        // Docker looks at the first.
        let code = errors.0.first().map(|error| error.code.0.as_str());
        let name = self.name.familiar_name();
        match code {
            Some(Code::DENIED) if self.scope == Scope::Pull => Error::PullDenied { name, errors },
            Some(Code::NAME_UNKNOWN) => Error::NameUnknown { name, errors },
            Some(Code::MANIFEST_UNKNOWN) => Error::ManifestUnknown {
                name: match reference {
                    Some(digest) if digest.contains(':') => format!("{name}@{digest}"),
                    Some(tag) => format!("{name}:{tag}"),
                    None => name,
                },
                errors,
            },
            _ => Error::Registry { status, errors },
        }
    }

    /// An answer that is no success, as an error.
    pub(super) async fn refusal(
        &self,
        call: &Call,
        answer: Response<Incoming>,
        reference: Option<&str>,
    ) -> Error {
        self.explain(refused(call, answer).await, reference)
    }

    /// All tags (specification: end-8).
    pub async fn tags(&self) -> Result<Vec<String>> {
        let mut failure = None;
        for endpoint in self.endpoints(Need::Tag)? {
            match self.tags_of(endpoint).await {
                Ok(tags) => return Ok(tags),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.expect("there is one place at least"))
    }

    async fn tags_of(&self, endpoint: &Endpoint) -> Result<Vec<String>> {
        let first = path::tags(&self.name.path, PAGE);
        let own = endpoint.origin(&self.shared).await?;
        let (mut tags, mut next) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let fill = |call: &mut Call| {
                if let Some(url) = &next {
                    call.url = url::Url::clone(url);
                }
            };
            let (call, answer) = self.ask(endpoint, Method::GET, &first, fill).await?;
            if answer.status() != StatusCode::OK {
                return Err(self.refusal(&call, answer, None).await);
            }
            let wrong = |why: String| Error::Protocol {
                host: call.url.authority.clone(),
                why,
            };
            let link = answer
                .headers()
                .get(header::LINK)
                .and_then(|value| link::next(value.to_str().ok()?));
            let body = read(&call, answer, "list of tags", MAX_PAGE).await?;
            let page: Page = serde_json::from_slice(&body)
                .map_err(|error| wrong(format!("list of tags: {error}")))?;
            tags.extend(page.tags.unwrap_or_default());
            if tags.len() > MAX_TAGS {
                return Err(wrong("more tags than can be".to_owned()));
            }
            let Some(link) = link else {
                return Ok(tags);
            };
            // Asked as this place's user: what answered may be elsewhere, after a redirect.
            let url = call
                .url
                .join(&link)
                .filter(|url| url.same_origin(&own) && *url != call.url)
                .ok_or_else(|| wrong("its next page of tags is elsewhere".to_owned()))?;
            next = Some(url);
        }
        Err(Error::Protocol {
            host: self.name.domain.clone(),
            why: "its list of tags has no end".to_owned(),
        })
    }
}

#[derive(serde::Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

use super::url;
