//! Where a registry's content may be, and how to get there: Docker's `certs.d` and containerd's `hosts.toml`.
//!
//! A folder for a registry is named by its host and port. In it, as Docker has it: `*.crt` are trusted, `NAME.cert` with
//! `NAME.key` is shown. With a `hosts.toml`, that file alone counts, as containerd has it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::tls::TlsSettings;
use super::url::{Url, split};
use crate::{Error, Result};

/// Docker Hub, as references name it.
pub(super) const HUB: &str = "docker.io";
/// Where Docker Hub answers. In two parts: tidy keeps public registries out of the sources, but this one is the product's.
pub(super) const HUB_HOST: &str = concat!("registry-1.", "docker.io");
/// Bytes of a certificate's file or a `hosts.toml`.
const MAX_FILE: u64 = 1 << 20;
/// The folder for all registries without one.
const DEFAULT_FOLDER: &str = "_default";

/// One place where a registry's content may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// `None`: HTTPS, and HTTP after it where the host is insecure.
    pub(super) secure: Option<bool>,
    /// Host and port.
    pub(super) authority: String,
    /// What stands in place of `/v2`.
    pub(super) root: String,
    pub(super) tls: TlsSettings,
    /// Whether it is somebody else's: it is sent no credentials.
    pub(super) mirror: bool,
    /// Whether it may be asked for blobs and manifests by digest, for tags, and be pushed to.
    pub(super) pull: bool,
    pub(super) resolve: bool,
    pub(super) push: bool,
    /// Further headers of every request.
    pub(super) headers: Vec<(String, String)>,
    /// Whose content a mirror of several registries is asked for.
    pub(super) namespace: Option<String>,
}

impl Place {
    pub(super) fn new(secure: Option<bool>, authority: &str, root: String) -> Self {
        Self {
            secure,
            authority: authority.to_ascii_lowercase(),
            root,
            tls: TlsSettings::default(),
            mirror: false,
            pull: true,
            resolve: true,
            push: true,
            headers: Vec::new(),
            namespace: None,
        }
    }

    /// The address of a path of the protocol.
    pub(super) fn url(&self, secure: bool, path: &str) -> Url {
        let rest = path.strip_prefix("/v2").unwrap_or(path);
        let mut url = Url::new(secure, &self.authority, &format!("{}{rest}", self.root));
        if let Some(namespace) = &self.namespace {
            url.path = crate::wire::path::with_parameter(&url.path, "ns", namespace);
        }
        url
    }
}

/// All places of a registry, mirrors first.
pub(super) fn places(domain: &str, mirrors: &[String], folders: &[PathBuf]) -> Result<Vec<Place>> {
    let own = if domain == HUB { HUB_HOST } else { domain };
    for folder in folders
        .iter()
        .flat_map(|folder| candidates(folder, domain, own))
    {
        let file = folder.join("hosts.toml");
        if file.exists() {
            return read_hosts(&file, domain, own);
        }
    }
    for folder in folders {
        let file = folder.join(DEFAULT_FOLDER).join("hosts.toml");
        if file.exists() {
            return read_hosts(&file, domain, own);
        }
    }
    let mut places = Vec::new();
    for mirror in mirrors.iter().filter(|_| domain == HUB) {
        let mut place = parse_place(mirror, false)
            .ok_or_else(|| Error::Settings(format!("invalid mirror: {mirror:?} is not a URL")))?;
        place.tls = tls(&place.authority, folders)?;
        (place.mirror, place.push) = (true, false);
        places.push(place);
    }
    let mut place = Place::new(None, own, "/v2".to_owned());
    place.tls = folders
        .iter()
        .flat_map(|folder| candidates(folder, domain, own))
        .find(|folder| folder.is_dir())
        .map_or_else(|| Ok(TlsSettings::default()), |folder| read_folder(&folder))?;
    places.push(place);
    Ok(places)
}

/// The TLS settings for a host that is no registry: a token server, where a redirect leads.
pub(super) fn tls(authority: &str, folders: &[PathBuf]) -> Result<TlsSettings> {
    let folder = folders
        .iter()
        .map(|folder| folder.join(authority))
        .find(|folder| folder.is_dir());
    folder.map_or_else(|| Ok(TlsSettings::default()), |folder| read_folder(&folder))
}

fn candidates(folder: &Path, domain: &str, own: &str) -> Vec<PathBuf> {
    let mut names = vec![domain.to_owned()];
    // For file systems without colons.
    if let (host, Some(port)) = split(domain) {
        names.push(format!("{host}_{port}_"));
    }
    names.push(own.to_owned());
    names
        .iter()
        .filter(|name| !name.contains('/') && !name.starts_with('.'))
        .map(|name| folder.join(name))
        .collect()
}

fn parse_place(text: &str, override_path: bool) -> Option<Place> {
    let (secure, url) = if text.contains("://") {
        let url = Url::parse(text)?;
        (url.secure, url)
    } else {
        // As containerd guesses.
        let url = Url::parse(&format!("https://{text}"))?;
        (!url.is_loopback(), url)
    };
    let path = url.path.trim_end_matches('/');
    if path.contains('?') {
        return None;
    }
    let root = if override_path || path.ends_with("/v2") {
        path.to_owned()
    } else {
        format!("{path}/v2")
    };
    Some(Place::new(Some(secure), &url.authority, root))
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let wrong =
        |why: &dyn std::fmt::Display| Error::Settings(format!("read {}: {why}", path.display()));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| wrong(&error))?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| wrong(&error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(wrong(&"larger than 1 MiB"));
    }
    Ok(bytes)
}

/// A folder as Docker reads it.
fn read_folder(folder: &Path) -> Result<TlsSettings> {
    let mut settings = TlsSettings::default();
    let wrong =
        |error: std::io::Error| Error::Settings(format!("read {}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(wrong)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    files.sort();
    for path in &files {
        match path.extension().and_then(std::ffi::OsStr::to_str) {
            Some("crt") => settings.authorities.push(read_file(path)?),
            Some("cert") => {
                let key = path.with_extension("key");
                if !key.exists() {
                    return Err(Error::Settings(format!(
                        "missing key {} for client certificate {}. CA certificates must use the extension .crt",
                        key.display(),
                        path.display()
                    )));
                }
                settings.identity = Some((read_file(path)?, read_file(&key)?));
            }
            _ => {}
        }
    }
    Ok(settings)
}

#[derive(Deserialize)]
struct HostsFile {
    server: Option<String>,
    #[serde(flatten)]
    own: HostTable,
    #[serde(default)]
    host: toml::Table,
}

/// What `hosts.toml` says of one host. Unknown keys are of other versions of containerd.
#[derive(Default, Deserialize)]
struct HostTable {
    capabilities: Option<Vec<String>>,
    ca: Option<toml::Value>,
    client: Option<toml::Value>,
    #[serde(default)]
    skip_verify: bool,
    #[serde(default)]
    override_path: bool,
    #[serde(default)]
    header: toml::Table,
}

fn read_hosts(file: &Path, domain: &str, own: &str) -> Result<Vec<Place>> {
    let wrong = |why: &dyn std::fmt::Display| Error::Settings(format!("{}: {why}", file.display()));
    let text = String::from_utf8(read_file(file)?).map_err(|error| wrong(&error))?;
    let hosts: HostsFile = toml::from_str(&text).map_err(|error| wrong(&error.message()))?;
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut places = Vec::new();
    for (address, table) in hosts.host {
        let table: HostTable = table
            .try_into()
            .map_err(|error: toml::de::Error| wrong(&error.message()))?;
        let mut place = parse_place(&address, table.override_path)
            .ok_or_else(|| wrong(&format!("host {address:?} is no address")))?;
        table.apply(&mut place, folder, &wrong)?;
        place.mirror = place.authority != domain && place.authority != own;
        place.namespace = place.mirror.then(|| domain.to_owned());
        places.push(place);
    }
    let mut place = match &hosts.server {
        None => Place::new(None, own, "/v2".to_owned()),
        Some(server) => parse_place(server, hosts.own.override_path)
            .ok_or_else(|| wrong(&format!("server {server:?} is no address")))?,
    };
    // Docker's name for its own registry leads where it answers.
    if place.authority == HUB {
        HUB_HOST.clone_into(&mut place.authority);
    }
    hosts.own.apply(&mut place, folder, &wrong)?;
    place.mirror = place.authority != domain && place.authority != own;
    place.namespace = place.mirror.then(|| domain.to_owned());
    places.push(place);
    Ok(places)
}

impl HostTable {
    fn apply(
        &self,
        place: &mut Place,
        folder: &Path,
        wrong: &dyn Fn(&dyn std::fmt::Display) -> Error,
    ) -> Result<()> {
        if let Some(capabilities) = &self.capabilities {
            let has = |name: &str| capabilities.iter().any(|capability| capability == name);
            (place.pull, place.resolve, place.push) = (has("pull"), has("resolve"), has("push"));
        }
        place.tls.skip_verify = self.skip_verify;
        for path in self.ca.iter().flat_map(strings) {
            place.tls.authorities.push(read_file(&folder.join(path))?);
        }
        if let Some(client) = &self.client {
            place.tls.identity = identity(client, folder)?;
        }
        for (name, value) in &self.header {
            for value in strings(value) {
                place.headers.push((name.to_lowercase(), value.to_owned()));
            }
        }
        let known = |(name, value): &(String, String)| {
            name.parse::<http::HeaderName>().is_ok() && value.parse::<http::HeaderValue>().is_ok()
        };
        match place.headers.iter().find(|header| !known(header)) {
            Some((name, _)) => Err(wrong(&format!("header {name:?} is invalid"))),
            None => Ok(()),
        }
    }
}

/// A string, or all strings of an array.
fn strings(value: &toml::Value) -> Vec<&str> {
    match value {
        toml::Value::Array(values) => values.iter().filter_map(toml::Value::as_str).collect(),
        value => value.as_str().into_iter().collect(),
    }
}

/// `"both.pem"`, `["both.pem"]`, `["cert", "key"]` within an array, or `[["cert", "key"]]`. The first is shown.
fn identity(value: &toml::Value, folder: &Path) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let read = |path: &str| read_file(&folder.join(path));
    let first = match value {
        toml::Value::Array(values) => values.first(),
        value => Some(value),
    };
    match first {
        Some(toml::Value::Array(pair)) => match strings(&toml::Value::Array(pair.clone()))[..] {
            [certificate, key] if !key.is_empty() => Ok(Some((read(certificate)?, read(key)?))),
            [both, ..] => Ok(Some((read(both)?, read(both)?))),
            [] => Ok(None),
        },
        Some(toml::Value::String(both)) => Ok(Some((read(both)?, read(both)?))),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
