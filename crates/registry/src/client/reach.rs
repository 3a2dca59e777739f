//! Which addresses a request may reach, and which registries may be insecure.

use std::net::IpAddr;

use ipnet::IpNet;

use super::url::{Url, split};

/// Which addresses may be connected to. A name that leads elsewhere between check and use does not help: each address is
/// checked when it is used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// All: what the user named.
    Any,
    /// Not this machine and its neighbourhood: what a registry elsewhere named.
    Elsewhere,
    /// These ranges: a registry that is insecure because its name led there.
    Only(Vec<IpNet>),
}

impl Reach {
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Any => true,
            Self::Elsewhere => {
                let link_local = match address {
                    IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
                    IpAddr::V6(address) => address.is_unicast_link_local(),
                };
                !(address.is_loopback()
                    || address.is_unspecified()
                    || address.is_multicast()
                    || link_local)
            }
            Self::Only(ranges) => ranges.iter().any(|range| range.contains(&address)),
        }
    }
}

/// The registries that need not prove who they are.
#[derive(Clone, Debug)]
pub(super) struct Insecure {
    hosts: Vec<String>,
    ranges: Vec<IpNet>,
}

/// How much a registry is trusted without a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It must prove who it is.
    Verified,
    /// Neither TLS nor a certificate is asked for, at these addresses.
    Insecure(Reach),
}

impl Insecure {
    /// Hosts (a bare host stands for all its ports) and ranges.
    pub(super) fn new(entries: &[String]) -> Self {
        let mut insecure = Self {
            hosts: Vec::new(),
            ranges: Vec::new(),
        };
        for entry in ["127.0.0.0/8", "::1/128"]
            .into_iter()
            .chain(entries.iter().map(String::as_str))
        {
            match entry.parse() {
                Ok(range) => insecure.ranges.push(range),
                Err(_) => insecure.hosts.push(entry.to_ascii_lowercase()),
            }
        }
        insecure
    }

    /// Looks the name up where only its addresses can tell, as Docker does.
    pub(super) async fn trust(&self, url: &Url) -> Trust {
        let named = self.hosts.iter().any(|host| {
            *host == url.authority || (split(host).1.is_none() && split(host).0 == url.host())
        });
        if named || url.is_loopback() {
            return Trust::Insecure(Reach::Any);
        }
        let within = |address: IpAddr| {
            let address = address.to_canonical();
            self.ranges.iter().any(|range| range.contains(&address))
        };
        if let Some(address) = url.address() {
            return if within(address) {
                Trust::Insecure(Reach::Any)
            } else {
                Trust::Verified
            };
        }
        let found = tokio::net::lookup_host((url.host(), url.port())).await;
        if found.is_ok_and(|mut found| found.any(|address| within(address.ip()))) {
            return Trust::Insecure(Reach::Only(self.ranges.clone()));
        }
        Trust::Verified
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_not_reached_on_a_strangers_word() {
        for (address, allowed) in [
            ("127.0.0.1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("0.0.0.0", false),
            ("169.254.169.254", false),
            ("fe80::1", false),
            ("10.0.0.1", true),
            ("93.184.216.34", true),
        ] {
            assert_eq!(
                Reach::Elsewhere.allows(address.parse().unwrap()),
                allowed,
                "{address}"
            );
        }
    }

    #[tokio::test]
    async fn loopback_and_what_was_named_is_insecure() {
        let insecure = Insecure::new(&[
            "10.1.0.0/16".into(),
            "plain.example".into(),
            "other.example:5000".into(),
        ]);
        for (host, expected) in [
            ("127.0.0.1:5000", true),
            ("localhost", true),
            ("[::1]:1", true),
            ("10.1.2.3:80", true),
            ("10.2.2.3", false),
            ("plain.example:1234", true),
            ("other.example:5000", true),
        ] {
            let url = Url::new(true, host, "/");
            assert_eq!(
                insecure.trust(&url).await == Trust::Insecure(Reach::Any),
                expected,
                "{host}"
            );
        }
    }
}
