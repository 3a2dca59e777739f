//! The files that tell a container about names: resolv.conf and hosts, as Docker writes them for its default bridge.

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};

const DEFAULT_NAMESERVERS: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
/// Where systemd-resolved keeps the real servers when /etc/resolv.conf names only its own stub.
const RESOLVED_UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";
const RESOLVED_STUB: &str = "127.0.0.53";

/// What `--dns`, `--dns-search` and `--dns-option` say; an empty list leaves the host's.
#[derive(Debug, Clone, Default)]
pub struct Dns {
    /// Servers instead of the host's; loopback ones are kept, they were asked for.
    pub nameservers: Vec<String>,
    /// Search domains instead of the host's; a single `.` means none.
    pub search: Vec<String>,
    /// Options instead of the host's.
    pub options: Vec<String>,
}

/// The host's resolver configuration; empty when there is none.
pub fn host_resolv_conf() -> String {
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if parse(&text).nameservers == [RESOLVED_STUB] {
        return fs::read_to_string(RESOLVED_UPSTREAM).unwrap_or(text);
    }
    text
}

/// A container's resolv.conf on the default bridge, from the host's.
pub fn resolv_conf(host: &str) -> String {
    resolv_conf_with(host, &Dns::default())
}

/// A container's resolv.conf on the default bridge, from the host's and what the user asked for.
pub fn resolv_conf_with(host: &str, dns: &Dns) -> String {
    let mut conf = parse(host);
    if dns.nameservers.is_empty() {
        // The host's loopback is not the container's, and the bridge speaks no IPv6.
        conf.nameservers.retain(|server| {
            server
                .parse::<Ipv4Addr>()
                .is_ok_and(|address| !address.is_loopback())
        });
        if conf.nameservers.is_empty() {
            conf.nameservers = DEFAULT_NAMESERVERS.map(str::to_owned).to_vec();
        }
    } else {
        conf.nameservers.clone_from(&dns.nameservers);
    }
    if !dns.search.is_empty() {
        conf.search = dns
            .search
            .iter()
            .filter(|domain| *domain != ".")
            .cloned()
            .collect();
    }
    if !dns.options.is_empty() {
        conf.options.clone_from(&dns.options);
    }
    conf.to_string()
}

/// A container's hosts file; the extra entries are (name, address).
pub fn hosts(
    hostname: &str,
    domain: &str,
    addresses: &[IpAddr],
    extra: &[(String, String)],
) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n",
    );
    for (name, address) in extra {
        _ = writeln!(text, "{address}\t{name}");
    }
    text + &own_hosts(hostname, domain, addresses)
}

/// What a hosts file says, as (names, address).
pub fn hosts_entries(text: &str) -> Vec<(String, String)> {
    let entry = |line: &str| {
        let (said, _) = line.split_once('#').unwrap_or((line, ""));
        let mut words = said.split_whitespace();
        let address = words.next()?.to_owned();
        let names: Vec<&str> = words.collect();
        (!names.is_empty()).then(|| (names.join(" "), address))
    };
    text.lines().filter_map(entry).collect()
}

/// The lines of a hosts file for the container's own addresses.
pub fn own_hosts(hostname: &str, domain: &str, addresses: &[IpAddr]) -> String {
    addresses.iter().fold(String::new(), |mut text, address| {
        _ = if domain.is_empty() {
            writeln!(text, "{address}\t{hostname}")
        } else {
            writeln!(text, "{address}\t{hostname}.{domain} {hostname}")
        };
        text
    })
}

#[derive(Debug, Default)]
struct ResolvConf {
    nameservers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
    other: Vec<String>,
}

/// The resolv.conf of a container that has a resolver of its own; what the host's and the user's servers are, that one
/// knows.
pub fn resolv_conf_within(host: &str, dns: &Dns) -> String {
    let mut conf = parse(&resolv_conf_with(host, dns));
    conf.nameservers = vec![crate::RESOLVER.to_string()];
    if !conf.options.iter().any(|one| one.starts_with("ndots:")) {
        // A container's name has no dot; with one demanded, it would first be asked for with every search domain.
        conf.options.push("ndots:0".to_owned());
    }
    conf.to_string()
}

fn parse(text: &str) -> ResolvConf {
    let mut conf = ResolvConf::default();
    for line in text.lines() {
        let line = line.trim();
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            None => {}
            Some(comment) if comment.starts_with(['#', ';']) => {}
            Some("nameserver") => conf.nameservers.extend(words.next()),
            // The last of several counts, as in the C library.
            Some("search" | "domain") => conf.search = words.collect(),
            Some("options") => conf.options.extend(words),
            Some(_) => conf.other.push(line.to_owned()),
        }
    }
    conf
}

impl std::fmt::Display for ResolvConf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for server in &self.nameservers {
            writeln!(f, "nameserver {server}")?;
        }
        for (word, values) in [("search", &self.search), ("options", &self.options)] {
            if !values.is_empty() {
                writeln!(f, "{word} {}", values.join(" "))?;
            }
        }
        for line in &self.other {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_of_ones_own_is_the_only_server() {
        let host = "nameserver 10.0.0.1\nsearch corp\noptions edns0\n";
        let conf = resolv_conf_within(host, &Dns::default());
        assert_eq!(
            conf,
            "nameserver 127.0.0.11\nsearch corp\noptions edns0 ndots:0\n"
        );
        let own = Dns {
            options: vec!["ndots:2".to_owned()],
            ..Dns::default()
        };
        let conf = resolv_conf_within(host, &own);
        assert_eq!(
            conf,
            "nameserver 127.0.0.11\nsearch corp\noptions ndots:2\n"
        );
    }

    #[test]
    fn servers_of_the_hosts_loopback_are_dropped() {
        let host = "# made by hand\nnameserver 127.0.0.53\nnameserver 9.9.9.9\nnameserver ::1\nsearch a b\noptions edns0 trust-ad\n";
        assert_eq!(
            resolv_conf(host),
            "nameserver 9.9.9.9\nsearch a b\noptions edns0 trust-ad\n"
        );
    }

    #[test]
    fn without_a_usable_server_the_public_ones_are_used() {
        assert_eq!(resolv_conf(""), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
        assert_eq!(
            resolv_conf("nameserver 127.0.0.1\nsearch x\n"),
            "nameserver 8.8.8.8\nnameserver 8.8.4.4\nsearch x\n"
        );
    }

    #[test]
    fn what_the_user_asked_for_replaces_the_hosts() {
        let host = "nameserver 9.9.9.9\nsearch a\noptions ndots:1\n";
        let dns = Dns {
            nameservers: vec!["127.0.0.1".into()],
            search: vec![".".into()],
            options: vec!["timeout:1".into()],
        };
        assert_eq!(
            resolv_conf_with(host, &dns),
            "nameserver 127.0.0.1\noptions timeout:1\n"
        );
    }

    #[test]
    fn comments_of_a_hosts_file_are_no_entries() {
        let text = "# made by hand\n127.0.0.1 localhost\n\n10.0.0.9\tdb  db.corp # the old one\n10.0.0.10\n";
        let entry = |names: &str, address: &str| (names.to_owned(), address.to_owned());
        let expected = [
            entry("localhost", "127.0.0.1"),
            entry("db db.corp", "10.0.0.9"),
        ];
        assert_eq!(hosts_entries(text), expected);
    }

    #[test]
    fn the_hosts_file_ends_with_the_containers_own_name() {
        let extra = [("db".to_owned(), "10.0.0.9".to_owned())];
        let ip = ["172.17.0.2".parse().unwrap()];
        assert_eq!(
            hosts("web", "", &ip, &extra),
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
             ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n10.0.0.9\tdb\n172.17.0.2\tweb\n"
        );
        assert!(
            hosts("web", "example.org", &ip, &[]).ends_with("172.17.0.2\tweb.example.org web\n")
        );
        assert!(hosts("web", "", &[], &[]).ends_with("ip6-allrouters\n"));
    }
}
