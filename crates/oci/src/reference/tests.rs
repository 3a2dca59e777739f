//! Vectors of the distribution project's own tests, and the traps that other implementations fell into.

use super::*;

const HEX: &str = "8c811b4aec35f259572d0f79207bc0678df4c736eeec50bc9fec37ed936a472a";

fn check(text: &str, full: &str, familiar: &str) {
    let reference: Reference = text
        .parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(reference.to_string(), full, "{text}");
    assert_eq!(reference.familiar(), familiar, "{text}");
    let again: Reference = full.parse().unwrap();
    assert_eq!(again, reference, "{text}");
}

#[test]
fn names_are_normalised() {
    check("busybox", "docker.io/library/busybox", "busybox");
    check(
        "busybox:1.36",
        "docker.io/library/busybox:1.36",
        "busybox:1.36",
    );
    check("docker.io/busybox", "docker.io/library/busybox", "busybox");
    check(
        "index.docker.io/busybox",
        "docker.io/library/busybox",
        "busybox",
    );
    check(
        "index.docker.io/library/busybox",
        "docker.io/library/busybox",
        "busybox",
    );
    check("library/busybox", "docker.io/library/busybox", "busybox");
    check(
        "docker.io/library/foo/bar",
        "docker.io/library/foo/bar",
        "library/foo/bar",
    );
    check("corten/hello", "docker.io/corten/hello", "corten/hello");
    check("localhost/x", "localhost/x", "localhost/x");
    check(
        "localhost:5000/x:y",
        "localhost:5000/x:y",
        "localhost:5000/x:y",
    );
    check(
        "test.com:8080/foo:tag",
        "test.com:8080/foo:tag",
        "test.com:8080/foo:tag",
    );
    check(
        "127.0.0.1:5000/a/b",
        "127.0.0.1:5000/a/b",
        "127.0.0.1:5000/a/b",
    );
    check(
        "a-b---c/d__e.f_g",
        "docker.io/a-b---c/d__e.f_g",
        "a-b---c/d__e.f_g",
    );
    check("xn--n3h.com/x", "xn--n3h.com/x", "xn--n3h.com/x");
    check("a.b/c", "a.b/c", "a.b/c");
}

#[test]
fn digests_are_kept() {
    let digest = format!("sha256:{HEX}");
    check(
        &format!("busybox@{digest}"),
        &format!("docker.io/library/busybox@{digest}"),
        &format!("busybox@{digest}"),
    );
    check(
        &format!("r:5/x:t@{digest}"),
        &format!("r:5/x:t@{digest}"),
        &format!("r:5/x:t@{digest}"),
    );
}

#[test]
fn a_first_component_with_capitals_is_a_registry() {
    check("UPPER/x", "UPPER/x", "UPPER/x");
    check("Host/x:Tag", "Host/x:Tag", "Host/x:Tag");
}

#[test]
fn addresses_in_brackets_are_registries() {
    check("[::1]:5000/a:b", "[::1]:5000/a:b", "[::1]:5000/a:b");
    check("[2001:db8::1]/a", "[2001:db8::1]/a", "[2001:db8::1]/a");
}

#[test]
fn what_is_no_reference_is_refused_in_dockers_words() {
    let invalid = "invalid reference format";
    let cases = [
        ("", invalid),
        (":justtag", invalid),
        (
            "Uppercase:tag",
            "invalid reference format: repository name (library/Uppercase) must be lowercase",
        ),
        (
            "test:5000/Uppercase/x:tag",
            "invalid reference format: repository name (Uppercase/x) must be lowercase",
        ),
        ("lowercase:Upper:tag", invalid),
        ("busybox:", invalid),
        ("busybox@", invalid),
        ("@sha256:ffff", invalid),
        ("repo@sha256:ff", invalid),
        (
            "validname@invaliddigest:ffffffffffffffffffffffffffffffff",
            "unsupported digest algorithm",
        ),
        (
            "repo@sha256:ffffffffffffffffffffffffffffffffff",
            "invalid checksum digest length",
        ),
        (
            HEX,
            &*format!(
                "invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"
            ),
        ),
        ("-foo/bar", invalid),
        ("foo/bar-", invalid),
        ("foo/-bar", invalid),
        ("a//b", invalid),
        ("a/../b", invalid),
        ("../x", invalid),
        ("/x", invalid),
        ("x/", invalid),
        ("a..b", invalid),
        ("a___b", invalid),
        ("a._b", invalid),
        ("[fe80::1%eth0]:5000/x", invalid),
        ("[]:5000/x", invalid),
        ("host:port/x", invalid),
        ("x y", invalid),
        ("x:\u{e4}", invalid),
        ("repo:-tag", invalid),
    ];
    for (text, error) in cases {
        assert_eq!(
            text.parse::<Reference>().unwrap_err().to_string(),
            error,
            "{text:?}"
        );
    }
    for (length, valid) in [(128, true), (129, false)] {
        assert_eq!(
            format!("x:{}", "t".repeat(length))
                .parse::<Reference>()
                .is_ok(),
            valid
        );
    }
    let long = format!("a/{}", "x".repeat(254));
    assert_eq!(
        long.parse::<Reference>().unwrap_err().to_string(),
        "repository name must not be more than 255 characters"
    );
}

#[test]
fn the_default_tag_is_added_only_when_nothing_is_given() {
    let parse = |text: &str| {
        text.parse::<Reference>()
            .unwrap()
            .with_default_tag()
            .familiar()
    };
    assert_eq!(parse("busybox"), "busybox:latest");
    assert_eq!(parse("busybox:1"), "busybox:1");
    assert_eq!(
        parse(&format!("busybox@sha256:{HEX}")),
        format!("busybox@sha256:{HEX}")
    );
    let busybox: Reference = "busybox".parse().unwrap();
    assert_eq!(busybox.with_tag("x").unwrap().familiar(), "busybox:x");
    assert_eq!(
        busybox.with_tag("x/y").unwrap_err().to_string(),
        "invalid tag format"
    );
}

#[test]
fn a_name_that_would_be_of_another_registry_keeps_its_own() {
    for name in ["docker.io/a.example/b", "docker.io/localhost/b"] {
        check(name, name, name);
    }
    let hex = format!("docker.io/library/{HEX}");
    check(&hex, &hex, &hex);
}
