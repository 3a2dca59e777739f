//! `WWW-Authenticate`: how a registry wants to know who asks (RFC 9110, section 11.6.1; RFC 6750, section 3).

use super::scan::Scan;

/// Parameters of one challenge at most: a header is bounded, and nobody sends more.
const MAX_PARAMETERS: usize = 32;

/// One challenge that we know an answer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// User and password.
    Basic,
    /// A token, of a server that `realm` names.
    Bearer {
        /// The token server's address.
        realm: String,
        /// Whom the token is for.
        service: String,
        /// What it must allow; empty where the registry does not say.
        scope: String,
        /// Why a token that was sent is not good enough: `insufficient_scope`, `invalid_token`.
        error: String,
    },
}

/// All challenges of one header value that are known. What cannot be read ends the list: a value is never guessed.
pub fn parse(value: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut scan = Scan::new(value);
    loop {
        scan.skip_separators();
        let scheme = scan.token();
        if scheme.is_empty() {
            return challenges;
        }
        let Some(parameters) = parameters(&mut scan) else {
            return challenges;
        };
        let get = |name: &str| {
            let found = parameters.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            challenges.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = get("realm")
        {
            challenges.push(Challenge::Bearer {
                realm,
                service: get("service").unwrap_or_default(),
                scope: get("scope").unwrap_or_default(),
                error: get("error").unwrap_or_default(),
            });
        }
    }
}

/// Parameters up to the next challenge. The first of a name counts.
fn parameters(scan: &mut Scan<'_>) -> Option<Vec<(String, String)>> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    loop {
        let before = scan.clone();
        scan.skip_separators();
        if scan.is_empty() {
            return Some(parameters);
        }
        let name = scan.token().to_ascii_lowercase();
        scan.skip_blanks();
        if name.is_empty() || !scan.take('=') {
            // A scheme: the next challenge. A scheme without parameters leaves us where we were.
            *scan = before;
            return (!name.is_empty()).then_some(parameters);
        }
        scan.skip_blanks();
        let value = scan.value()?;
        if parameters.len() == MAX_PARAMETERS {
            return None;
        }
        if !parameters.iter().any(|(known, _)| *known == name) {
            parameters.push((name, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: &str, scope: &str) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.to_owned(),
            scope: scope.to_owned(),
            error: String::new(),
        }
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let scope = "repository:a/b:pull,push";
        for (text, expected) in [
            (
                r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#,
                vec![bearer(
                    "https://auth.example/token",
                    "registry.example",
                    scope,
                )],
            ),
            (
                "bearer realm=https://auth.example/token , SERVICE=x",
                vec![bearer("https://auth.example/token", "x", "")],
            ),
            (
                r#"Basic realm="a, Bearer realm=\"x\"""#,
                vec![Challenge::Basic],
            ),
            ("Basic", vec![Challenge::Basic]),
            (
                r#"Negotiate, Basic realm="r", Bearer realm="https://a/t""#,
                vec![Challenge::Basic, bearer("https://a/t", "", "")],
            ),
            (
                r#"Bearer realm="https://first/",realm="https://second/""#,
                vec![bearer("https://first/", "", "")],
            ),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for text in [
            "",
            ",,,",
            "=",
            "Bearer",
            "Bearer service=x",
            r#"Bearer realm="https://a"#,
            "Bearer realm=\"a\\",
            "Digest realm=x",
        ] {
            assert_eq!(parse(text), [], "{text}");
        }
        let many: Vec<String> = (0..100).map(|n| format!("a{n}=b")).collect();
        assert_eq!(parse(&format!("Basic {}", many.join(","))), []);
    }
}
