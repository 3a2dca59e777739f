//! The three files that tell a container who it is: hostname, hosts and resolv.conf. Nothing here needs to survive a crash.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use network::Endpoint;

use crate::container::record::Record;
use crate::container::spec::NetworkMode;
use crate::container::{Container, Spec};
use crate::{Error, Result};

/// A container may write its hosts file: what is read back of it is bounded.
const MAX_HOSTS: u64 = 1 << 20;

/// Writes all three for a start. `resolves`: the container has a resolver of its own.
pub(super) fn write_all(
    resolves: bool,
    container: &Container,
    record: &Record,
    endpoints: &[Endpoint],
    links: &[(String, String)],
) -> Result<()> {
    let spec = &record.spec;
    let hostname = &record.effective.hostname;
    let mut extra: Vec<(String, String)> = spec
        .extra_hosts
        .iter()
        .filter_map(|line| line.split_once([':', '=']))
        .map(|(name, address)| (name.to_owned(), address.trim_matches(['[', ']']).to_owned()))
        .collect();
    extra.extend(links.iter().cloned());
    let hosts = if spec.network == NetworkMode::Host && extra.is_empty() {
        fs::read_to_string("/etc/hosts").unwrap_or_default()
    } else {
        let addresses: Vec<_> = endpoints.iter().flat_map(Endpoint::addresses).collect();
        network::hosts(hostname, &spec.domainname, &addresses, &extra)
    };
    write(&container.paths.etc("hosts"), &hosts)?;
    write(&container.paths.etc("hostname"), &format!("{hostname}\n"))?;
    write(
        &container.paths.etc("resolv.conf"),
        &resolver(spec, resolves),
    )
}

/// A running container has one more place.
pub(crate) fn add_hosts(container: &Container, record: &Record, endpoint: &Endpoint) -> Result<()> {
    let lines = network::own_hosts(
        &record.effective.hostname,
        &record.spec.domainname,
        &endpoint.addresses().collect::<Vec<_>>(),
    );
    change(container, |text| text + &lines)
}

/// A running container has one place less.
pub(crate) fn remove_hosts(
    container: &Container,
    record: &Record,
    endpoint: &Endpoint,
) -> Result<()> {
    let lines = network::own_hosts(
        &record.effective.hostname,
        &record.spec.domainname,
        &endpoint.addresses().collect::<Vec<_>>(),
    );
    change(container, |text| {
        let kept = text
            .lines()
            .filter(|line| !lines.lines().any(|own| own == *line));
        kept.fold(String::new(), |text, line| text + line + "\n")
    })
}

/// Those whose names begin so have these addresses now.
pub(crate) fn move_hosts(container: &Container, names: &str, addresses: &[IpAddr]) -> Result<()> {
    change(container, |text| {
        let mut moved = String::new();
        for line in text.lines() {
            let (old, rest) = line.split_once('\t').unwrap_or((line, ""));
            let theirs = rest.strip_prefix(names);
            if theirs.is_none_or(|end| !end.is_empty() && !end.starts_with(' ')) {
                moved += &format!("{line}\n");
                continue;
            }
            let is_six = old.contains(':');
            let same_family = addresses.iter().find(|address| address.is_ipv6() == is_six);
            if let Some(address) = same_family {
                moved += &format!("{address}\t{rest}\n");
            }
        }
        moved
    })
}

/// In place: the container has this very file mounted.
fn change(container: &Container, change: impl FnOnce(String) -> String) -> Result<()> {
    let path = container.paths.etc("hosts");
    let what = || format!("read {}", path.display());
    let file = fs::File::open(&path).map_err(Error::io(what()))?;
    let mut text = String::new();
    file.take(MAX_HOSTS)
        .read_to_string(&mut text)
        .map_err(Error::io(what()))?;
    write(&path, &change(text))
}

/// A running container has a resolver of its own from here on, or no longer.
pub(crate) fn write_resolver(container: &Container, spec: &Spec, resolves: bool) -> Result<()> {
    write(
        &container.paths.etc("resolv.conf"),
        &resolver(spec, resolves),
    )
}

fn resolver(spec: &Spec, resolves: bool) -> String {
    let host = network::host_resolv_conf();
    let dns = &spec.dns;
    let asked = !(dns.servers.is_empty() && dns.search.is_empty() && dns.options.is_empty());
    if spec.network == NetworkMode::Host && !asked {
        return host;
    }
    let dns = network::Dns {
        nameservers: dns.servers.iter().map(ToString::to_string).collect(),
        search: dns.search.clone(),
        options: dns.options.clone(),
    };
    if resolves {
        return network::resolv_conf_within(&host, &dns);
    }
    network::resolv_conf_with(&host, &dns)
}

/// Readable by all: any user of the container reads them.
fn write(path: &Path, content: &str) -> Result<()> {
    let what = || format!("write {}", path.display());
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(path)
        .map_err(Error::io(what()))?;
    file.write_all(content.as_bytes())
        .map_err(Error::io(what()))
}
