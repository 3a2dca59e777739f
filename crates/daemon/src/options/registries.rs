//! Registries in flags and in the configuration file, judged in Docker's words.

/// A mirror: an address without user, query and fragment.
pub(super) fn mirror(text: &str) -> Result<String, String> {
    const WHICH: &str = "must use either 'https://' or 'http://'";
    let Some((scheme, rest)) = text
        .split_once("://")
        .filter(|(scheme, _)| !scheme.is_empty())
    else {
        return Err(format!(
            "invalid mirror: no scheme specified for {text:?}: {WHICH}"
        ));
    };
    if !matches!(scheme, "https" | "http") {
        return Err(format!(
            "invalid mirror: unsupported scheme {scheme:?} in {text:?}: {WHICH}"
        ));
    }
    if rest.contains(['?', '#']) {
        return Err(format!(
            "invalid mirror: query or fragment at end of the URI {text:?}"
        ));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some((user, host)) = authority.rsplit_once('@') {
        let user = user.split(':').next().unwrap_or_default();
        let shown = format!("{scheme}://{user}:xxxxx@{host}/{path}");
        return Err(format!(
            "invalid mirror: username/password not allowed in URI {:?}",
            shown.trim_end_matches('/')
        ));
    }
    if !is_host(authority) {
        return Err(format!("invalid mirror: {text:?} is not a valid URI"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A registry that need not prove who it is: a host, a host with its port, or a range of addresses.
pub(super) fn insecure(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    // People write the scheme; Docker takes it off.
    let host = ["http://", "https://"]
        .iter()
        .find(|scheme| lower.starts_with(**scheme))
        .map_or(text, |scheme| &text[scheme.len()..]);
    if host.contains("://") {
        return Err(format!("insecure registry {host} should not contain '://'"));
    }
    if is_range(host) {
        return Ok(host.to_owned());
    }
    if is_host(host) {
        return Ok(host.to_owned());
    }
    Err(format!(
        "insecure registry {host} is not valid: invalid host {host:?}"
    ))
}

/// A host, with or without its port.
pub(super) fn host(text: &str) -> Result<String, String> {
    if is_host(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "token server {text} is not valid: invalid host {text:?}"
    ))
}

fn is_range(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port))
            if !text.ends_with(']') && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, Some(port))
        }
        _ => (text, None),
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let named = |host: &str| {
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            && !host.starts_with('-')
            && !host.ends_with('-')
    };
    let address = bracketed.map_or_else(
        || named(host) || host.parse::<std::net::Ipv6Addr>().is_ok(),
        |host| host.parse::<std::net::Ipv6Addr>().is_ok(),
    );
    address && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_judged_as_docker_does() {
        assert_eq!(
            mirror("https://m.example:5000/a/").unwrap(),
            "https://m.example:5000/a"
        );
        for (text, why) in [
            (
                "m.example:5000",
                "invalid mirror: no scheme specified for \"m.example:5000\": must use either 'https://' or 'http://'",
            ),
            (
                "ftp://m",
                "invalid mirror: unsupported scheme \"ftp\" in \"ftp://m\": must use either 'https://' or 'http://'",
            ),
            (
                "http://m/?a",
                "invalid mirror: query or fragment at end of the URI \"http://m/?a\"",
            ),
            (
                "https://user:secret@m.example/",
                "invalid mirror: username/password not allowed in URI \"https://user:xxxxx@m.example\"",
            ),
            (
                "https://",
                "invalid mirror: \"https://\" is not a valid URI",
            ),
        ] {
            assert_eq!(mirror(text).unwrap_err(), why);
        }
    }

    #[test]
    fn insecure_registries_are_hosts_and_ranges() {
        for (text, kept) in [
            ("r.example", "r.example"),
            ("http://r.example:5000", "r.example:5000"),
            ("HTTPS://r.example", "r.example"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("fd00::/8", "fd00::/8"),
            ("[::1]:5000", "[::1]:5000"),
        ] {
            assert_eq!(insecure(text).unwrap(), kept);
        }
        for text in [
            "",
            "r.example/path",
            "-r",
            "ftp://r",
            "r:port",
            "10.0.0.0/40",
        ] {
            assert!(insecure(text).is_err(), "{text}");
        }
        assert_eq!(
            insecure("ftp://r").unwrap_err(),
            "insecure registry ftp://r should not contain '://'"
        );
    }
}
