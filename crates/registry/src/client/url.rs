//! Addresses: absolute ones, what they lead to, and what counts as the same place.

use std::fmt;
use std::net::IpAddr;

/// An absolute `http` or `https` address, without user and fragment. `Display` leaves out the query: it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Url {
    /// `https`, not `http`.
    pub(super) secure: bool,
    /// Host and, if it was given, port; lower case.
    pub(super) authority: String,
    /// Path and query, with a slash in front.
    pub(super) path: String,
}

impl Url {
    pub(super) fn new(secure: bool, authority: &str, path: &str) -> Self {
        Self {
            secure,
            authority: authority.to_ascii_lowercase(),
            path: path.to_owned(),
        }
    }

    /// Parses an absolute address; `None` for everything else, other schemes and users too.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = match path {
            path if path.starts_with('/') => path.to_owned(),
            query => format!("/{query}"),
        };
        let url = Self::new(secure, authority, &path);
        // The parser of the HTTP library has the last word on what a host and a path may be made of.
        let known: http::uri::Authority = url.authority.parse().ok()?;
        (!known.as_str().contains('@') && !known.host().is_empty() && url.uri().is_some())
            .then_some(url)
    }

    /// Where a reference found at this address leads (RFC 3986, section 5.2).
    pub(super) fn join(&self, reference: &str) -> Option<Self> {
        let reference = reference.trim();
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme()));
        }
        let head = reference.split(['/', '?', '#']).next().unwrap_or_default();
        if head.contains(':') {
            return Self::parse(reference);
        }
        let path = self.path.split('?').next().unwrap_or_default();
        let joined = if reference.starts_with('/') {
            reference.to_owned()
        } else if reference.starts_with('?') {
            format!("{path}{reference}")
        } else {
            let folder = &path[..=path.rfind('/').unwrap_or(0)];
            format!("{folder}{reference}")
        };
        Self::parse(&format!("{}://{}{joined}", self.scheme(), self.authority))
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// For the HTTP library.
    pub(super) fn uri(&self) -> Option<http::Uri> {
        format!("{}://{}{}", self.scheme(), self.authority, self.path)
            .parse()
            .ok()
    }

    /// The host without port and brackets.
    pub(super) fn host(&self) -> &str {
        split(&self.authority).0
    }

    pub(super) fn port(&self) -> u16 {
        let default = if self.secure { 443 } else { 80 };
        split(&self.authority).1.unwrap_or(default)
    }

    /// Whether scheme, host and port are the same.
    pub(super) fn same_origin(&self, other: &Self) -> bool {
        self.secure == other.secure && self.host() == other.host() && self.port() == other.port()
    }

    /// Whether the host is an address of this machine, or its name.
    pub(super) fn is_loopback(&self) -> bool {
        self.host() == "localhost"
            || self
                .address()
                .is_some_and(|address| address.to_canonical().is_loopback())
    }

    /// The host as an address. Also the forms that resolvers take for one: `127.1`, `0x7f000001`, `2130706433`.
    pub(super) fn address(&self) -> Option<IpAddr> {
        let host = self.host();
        host.parse().ok().or_else(|| legacy_address(host))
    }
}

/// Host without brackets, and port.
pub(super) fn split(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port))
            if !port.contains(']') && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, port.parse().ok())
        }
        _ => (authority, None),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    (bare.unwrap_or(host), port)
}

/// What `inet_aton` takes: one to four numbers, decimal, octal or hexadecimal, the last of which fills what is left.
fn legacy_address(host: &str) -> Option<IpAddr> {
    let number = |text: &str| -> Option<u32> {
        if let Some(hex) = text.strip_prefix("0x") {
            return u32::from_str_radix(hex, 16).ok();
        }
        match text.strip_prefix('0') {
            Some(octal) if !octal.is_empty() => u32::from_str_radix(octal, 8).ok(),
            _ if text.starts_with('+') => None,
            _ => text.parse().ok(),
        }
    };
    let parts: Vec<u32> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) {
        return None;
    }
    let above = u32::try_from(first.len()).ok()?;
    let limit = u64::from(u32::MAX) >> (8 * above);
    (u64::from(*last) <= limit).then_some(())?;
    let high = first.iter().enumerate().try_fold(0u32, |sum, (at, part)| {
        Some(sum | (part << (24 - 8 * u32::try_from(at).ok()?)))
    })?;
    Some(IpAddr::V4((high | last).into()))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{}://{}{path}", self.scheme(), self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn references_lead_where_they_should() {
        let base = Url::parse("https://Host:5000/v2/a/blobs/uploads/?x=1").unwrap();
        for (reference, expected) in [
            ("/v2/b?c", Some("https://host:5000/v2/b?c")),
            (
                "uuid?state=1",
                Some("https://host:5000/v2/a/blobs/uploads/uuid?state=1"),
            ),
            (
                "?state=1",
                Some("https://host:5000/v2/a/blobs/uploads/?state=1"),
            ),
            ("//other/x", Some("https://other/x")),
            ("http://other/x#fragment", Some("http://other/x")),
            ("HTTPS://other", Some("https://other/")),
            ("file:///etc/passwd", None),
            ("javascript:x", None),
            ("https://user:password@other/", None),
            ("https://", None),
            ("https://a b/", None),
            ("/a b", None),
        ] {
            let found = base.join(reference);
            assert_eq!(
                found,
                expected.map(|text| Url::parse(text).unwrap()),
                "{reference}"
            );
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |a: &str, b: &str| Url::parse(a).unwrap().same_origin(&Url::parse(b).unwrap());
        assert!(same("https://a/x", "https://A:443/y"));
        assert!(!same("https://a/", "http://a/"));
        assert!(!same("https://a/", "https://a:444/"));
        assert!(!same("https://a/", "https://a.b/"));
    }

    #[test]
    fn loopback_is_seen_in_every_disguise() {
        for host in [
            "localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "localhost:5000",
        ] {
            assert!(
                Url::parse(&format!("http://{host}/"))
                    .unwrap()
                    .is_loopback(),
                "{host}"
            );
        }
        for host in [
            "example.com",
            "128.0.0.1",
            "localhost.example",
            "[::2]",
            "1.2.3.4.5",
        ] {
            assert!(
                !Url::parse(&format!("http://{host}/"))
                    .unwrap()
                    .is_loopback(),
                "{host}"
            );
        }
    }
}
