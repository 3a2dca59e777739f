//! References to images: the grammar and the normalisation of the distribution project, with its error texts.
//!
//! ```text
//! reference  [domain "/"] path [":" tag] ["@" digest]
//! domain     host [":" port], where host is a name, an address, or "[" IPv6 "]"
//! path       component *("/" component)
//! component  alphanumeric *(separator alphanumeric), separator one of "." "_" "__" or any number of "-"
//! tag        one of [A-Za-z0-9_] and up to 127 of [A-Za-z0-9_.-]
//! ```

use std::fmt;
use std::str::FromStr;

use crate::digest::is_identifier;
use crate::{Digest, Error};

/// The registry of names without one.
pub const DEFAULT_DOMAIN: &str = "docker.io";
/// The tag of names without one.
pub const DEFAULT_TAG: &str = "latest";
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL_PREFIX: &str = "library/";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;
/// Below this many digits a digest is not even taken for one.
const MIN_DIGEST_HEX: usize = 32;

/// A normalised reference. `Display` prints it in full, [`Reference::familiar`] as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The registry, with its port.
    pub domain: String,
    /// The repository in that registry.
    pub path: String,
    /// The tag, when one is given.
    pub tag: Option<String>,
    /// The digest, when one is given.
    pub digest: Option<Digest>,
}

impl Reference {
    /// The same name, with `latest` when there is neither tag nor digest.
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// The same name with another tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, Error> {
        if !is_tag(tag) {
            return Err(Error::Tag);
        }
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// Whether neither tag nor digest is given.
    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// Registry and repository: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// Registry and repository as people write them: `busybox`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        let short = match self.path.strip_prefix(OFFICIAL_PREFIX) {
            Some(rest) if !rest.contains('/') => rest,
            _ => &self.path,
        };
        // `docker.io/a.example/b` without its registry would be of the registry `a.example`.
        let is_itself = !is_identifier(short)
            && split_domain(short) == (self.domain.clone(), self.path.clone());
        if is_itself {
            short.to_owned()
        } else {
            self.name()
        }
    }

    /// The reference as people write it: `busybox:latest`, `busybox@sha256:…`.
    pub fn familiar(&self) -> String {
        self.suffixed(self.familiar_name())
    }

    fn suffixed(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suffixed(self.name()))
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if is_identifier(text) {
            return Err(Error::Identifier(text.to_owned()));
        }
        let (domain, rest) = split_domain(text);
        let remote = rest.split(':').next().unwrap_or(&rest);
        if remote.chars().any(char::is_uppercase) {
            return Err(Error::Uppercase(remote.to_owned()));
        }
        let (named, digest) = match rest.split_once('@') {
            Some((named, digest)) => (named, Some(parse_digest(digest)?)),
            None => (rest.as_str(), None),
        };
        let (path, tag) = match named.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (named, None),
        };
        if !is_domain(&domain) || !path.split('/').all(is_component) || !tag.is_none_or(is_tag) {
            return Err(Error::Reference);
        }
        if path.len() > MAX_NAME {
            return Err(Error::NameTooLong(MAX_NAME));
        }
        Ok(Self {
            domain,
            path: path.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

/// Splits off the registry, by the rules for names that people write.
///
/// A first component is a registry when it is `localhost`, has a dot, a colon or a capital letter.
fn split_domain(text: &str) -> (String, String) {
    let Some((first, rest)) = text.split_once('/') else {
        return (
            DEFAULT_DOMAIN.to_owned(),
            format!("{OFFICIAL_PREFIX}{text}"),
        );
    };
    let registry =
        first == "localhost" || first.contains(['.', ':']) || first.chars().any(char::is_uppercase);
    let (domain, rest) = match first {
        LEGACY_DOMAIN => (DEFAULT_DOMAIN, rest),
        _ if registry => (first, rest),
        _ => (DEFAULT_DOMAIN, text),
    };
    if domain == DEFAULT_DOMAIN && !rest.contains('/') {
        return (domain.to_owned(), format!("{OFFICIAL_PREFIX}{rest}"));
    }
    (domain.to_owned(), rest.to_owned())
}

fn parse_digest(text: &str) -> Result<Digest, Error> {
    let (algorithm, hex) = text.split_once(':').ok_or(Error::Reference)?;
    let part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let digits = hex.len() >= MIN_DIGEST_HEX && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !algorithm.split(['-', '_', '+', '.']).all(part) || !digits {
        return Err(Error::Reference);
    }
    text.parse()
}

fn is_domain(text: &str) -> bool {
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let hex = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
        let port = port.is_empty() || port.strip_prefix(':').is_some_and(digits);
        return !address.is_empty() && address.bytes().all(hex) && port;
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(label) && port.is_none_or(digits)
}

fn is_component(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let separator =
        |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    text.bytes()
        .all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && text.bytes().next().is_some_and(plain)
        && text.bytes().last().is_some_and(plain)
        && text
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(separator)
}

/// Whether a text is a tag.
pub fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text
            .bytes()
            .all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests;
