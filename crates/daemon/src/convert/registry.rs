//! Pull, push and credentials.

use api::auth::AuthConfig;
use api::image::{Descriptor, Distribution, Platform, SearchResult};
use api::progress::{Message, ProgressDetail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use engine::ops::image::{Pull, Push};
use image::remote::{self, Credentials, Step};
use oci::Reference;
use serde_json::json;

use crate::error::{Error, Result};
use crate::query::Query;
use crate::request::Request;

/// Docker Hub's name in the client's configuration.
const HUB: &str = "https://index.docker.io/v1/";

/// `POST /images/create?fromImage=…`.
pub fn pull(request: &Request) -> Result<Pull> {
    let query = &request.query;
    let reference = wanted(query.text("fromImage"), query.text("tag"))?;
    Ok(Pull {
        reference,
        platform: platform(request)?,
        credentials: header(request),
    })
}

/// A name with a tag that comes beside it.
fn wanted(name: &str, tag: &str) -> Result<Reference> {
    let mut reference = reference(name)?;
    // As moby does: a digest may come in the tag's place, and a tag takes no digest away, so that it says nothing beside it.
    if tag.contains(':') {
        reference.tag = None;
        reference.digest = Some(tag.parse().map_err(wrong)?);
    } else if !tag.is_empty() {
        reference.tag = reference.with_tag(tag).map_err(wrong)?.tag;
    }
    Ok(reference)
}

/// `POST /images/{name}/push`.
pub fn push(request: &Request, name: &str) -> Result<Push> {
    let mut reference = reference(name)?;
    let tag = request.query.text("tag");
    if !tag.is_empty() {
        reference = reference.with_tag(tag).map_err(wrong)?;
    }
    if reference.digest.is_some() {
        return super::invalid("cannot push a digest reference");
    }
    Ok(Push {
        reference,
        platform: platforms(request, "platform", 46)?.pop(),
        credentials: header(request),
    })
}

/// The machine that a pull or a container is for.
pub fn platform(request: &Request) -> Result<Option<oci::image::Platform>> {
    let text = request.query.text("platform");
    if text.is_empty() {
        return Ok(None);
    }
    image::platform::parse(text)
        .map(Some)
        .map_err(|error| Error::Invalid(error.to_string()))
}

/// All of a parameter's platforms, in JSON; versions before `since` have no such parameter.
pub fn platforms(request: &Request, name: &str, since: u32) -> Result<Vec<oci::image::Platform>> {
    if !request.version.at_least(since) {
        return Ok(Vec::new());
    }
    let given = request.query.all(name).filter(|text| !text.is_empty());
    given.map(described).collect()
}

fn described(text: &str) -> Result<oci::image::Platform> {
    serde_json::from_str(text)
        .map_err(|error| Error::Invalid(format!("failed to parse platform: {error}")))
}

/// A name.
pub fn reference(name: &str) -> Result<Reference> {
    name.parse()
        .map_err(|error: oci::Error| Error::Invalid(format!("invalid reference format: {error}")))
        .or_else(|_| name.parse().map_err(wrong))
}

fn wrong(error: oci::Error) -> Error {
    Error::Invalid(error.to_string())
}

/// The header `X-Registry-Auth`; nonsense counts as nothing, as in moby.
pub fn header(request: &Request) -> Credentials {
    let decode = || {
        let text = request.parts.headers.get("x-registry-auth")?;
        let text = text.as_bytes();
        let bytes = URL_SAFE
            .decode(text)
            .or_else(|_| STANDARD.decode(text))
            .ok()?;
        serde_json::from_slice::<AuthConfig>(&bytes).ok()
    };
    credentials(&decode().unwrap_or_default())
}

/// What the registry is shown.
pub fn credentials(auth: &AuthConfig) -> Credentials {
    if !auth.registrytoken.is_empty() {
        return Credentials::RegistryToken(auth.registrytoken.clone());
    }
    if !auth.identitytoken.is_empty() {
        return Credentials::IdentityToken(auth.identitytoken.clone());
    }
    let joined = STANDARD
        .decode(&auth.auth)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let (username, password) = match joined.as_deref().and_then(|text| text.split_once(':')) {
        Some((username, password)) if auth.username.is_empty() => {
            (username.to_owned(), password.to_owned())
        }
        _ => (auth.username.clone(), auth.password.clone()),
    };
    if username.is_empty() {
        return Credentials::Anonymous;
    }
    Credentials::Basic { username, password }
}

/// The registry's host of an address as clients write it.
pub fn host(address: &str) -> String {
    if address.is_empty() || address == HUB {
        return oci::reference::DEFAULT_DOMAIN.to_owned();
    }
    let host = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"))
        .unwrap_or(address);
    let host = host.split('/').next().unwrap_or_default();
    match host {
        "index.docker.io" => oci::reference::DEFAULT_DOMAIN.to_owned(),
        host => host.to_owned(),
    }
}

/// How many results a search may have; zero where nothing is said.
pub fn limit(query: &Query) -> Result<i64> {
    let text = query.text("limit");
    if text.is_empty() {
        return Ok(0);
    }
    match text.parse() {
        Ok(limit) if limit >= 0 => Ok(limit),
        _ => super::invalid(format!(
            "invalid limit specified: strconv.Atoi: parsing {text:?}: invalid syntax"
        )),
    }
}

/// A repository that was found. What was once built by Docker Hub itself is told of none.
pub fn found(result: &remote::SearchResult) -> SearchResult {
    SearchResult {
        star_count: result.star_count,
        is_official: result.is_official,
        name: result.name.clone(),
        is_automated: false,
        description: result.description.clone(),
    }
}

/// One line of the progress stream.
pub fn message(step: &Step) -> Message {
    let mut message = Message {
        id: step.id.clone(),
        status: step.status.clone(),
        ..Message::default()
    };
    if let Some((current, total)) = step.progress {
        message.progress_detail = Some(ProgressDetail {
            current: current.cast_signed(),
            total: total.cast_signed(),
            ..ProgressDetail::default()
        });
        message.progress = stdx::progress::text(current, total, 200);
    }
    if let Some((tag, digest, size)) = &step.pushed {
        message.progress_detail = Some(ProgressDetail::default());
        message.aux = Some(json!({"Tag": tag, "Digest": digest.to_string(), "Size": size}));
    }
    message
}

/// What a name points at.
pub fn distribution(found: &remote::Distribution) -> Distribution {
    let platform = |platform: &oci::image::Platform| Platform {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone(),
    };
    Distribution {
        descriptor: Descriptor {
            media_type: found.descriptor.media_type.clone(),
            digest: found.descriptor.digest.to_string(),
            size: found.descriptor.size.cast_signed(),
            platform: None,
        },
        platforms: found.platforms.iter().map(platform).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_known_by_their_hosts() {
        for (address, host) in [
            ("", "docker.io"),
            (HUB, "docker.io"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("https://registry.example/v2/", "registry.example"),
        ] {
            assert_eq!(super::host(address), host);
        }
    }

    #[test]
    fn a_tag_takes_no_digest_away() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let (a, b) = (digest("a"), digest("b"));
        let pinned = format!("busybox@{a}");
        for (name, tag, expected) in [
            ("busybox", "", "busybox"),
            ("busybox", "1", "busybox:1"),
            ("busybox:1", "2", "busybox:2"),
            ("busybox:1", a.as_str(), pinned.as_str()),
            (pinned.as_str(), "", pinned.as_str()),
            (
                pinned.as_str(),
                "latest",
                format!("busybox:latest@{a}").as_str(),
            ),
            (pinned.as_str(), b.as_str(), format!("busybox@{b}").as_str()),
        ] {
            assert_eq!(wanted(name, tag).unwrap().familiar(), expected);
        }
        assert!(wanted(&pinned, "x/y").is_err());
    }

    #[test]
    fn a_counted_step_has_dockers_bar() {
        let step = Step {
            id: "0123456789ab".to_owned(),
            status: "Downloading".to_owned(),
            progress: Some((1_000_000, 4_000_000)),
            pushed: None,
        };
        let text = serde_json::to_string(&message(&step)).unwrap();
        let bar = format!("[{}>{}]      1MB/4MB", "=".repeat(12), " ".repeat(38));
        assert_eq!(
            text,
            format!(
                r#"{{"status":"Downloading","progressDetail":{{"current":1000000,"total":4000000}},"progress":"{bar}","id":"0123456789ab"}}"#
            )
        );
    }
}
