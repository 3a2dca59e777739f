//! `certs.d` and `hosts.toml`.
#![allow(clippy::disallowed_methods, reason = "tests write their own files")]

use std::fs;

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load(domain: &str, folder: &tempfile::TempDir) -> Result<Vec<Place>> {
    places(
        domain,
        &["https://mirror.example".to_owned()],
        &[folder.path().to_owned()],
    )
}

#[test]
fn a_folder_is_read_as_docker_does() {
    let folder = folder(&[
        ("a.example:5000/ca.crt", "ca"),
        ("a.example:5000/client.cert", "cert"),
        ("a.example:5000/client.key", "key"),
        ("b.example/client.cert", "cert"),
    ]);
    let found = load("a.example:5000", &folder).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].tls.authorities, [b"ca".to_vec()]);
    assert_eq!(
        found[0].tls.identity,
        Some((b"cert".to_vec(), b"key".to_vec()))
    );
    let error = load("b.example", &folder).unwrap_err().to_string();
    assert!(error.starts_with("missing key"), "{error}");
    assert_eq!(
        load("c.example", &folder).unwrap()[0].tls,
        TlsSettings::default()
    );
}

#[test]
fn mirrors_are_of_the_hub() {
    let folder = folder(&[]);
    let hub = load(HUB, &folder).unwrap();
    assert_eq!(
        hub.iter()
            .map(|place| (place.authority.as_str(), place.mirror))
            .collect::<Vec<_>>(),
        [("mirror.example", true), (HUB_HOST, false)]
    );
    assert_eq!(load("a.example", &folder).unwrap().len(), 1);
    let wrong = places(HUB, &["ftp://x".to_owned()], &[]).unwrap_err();
    assert!(wrong.to_string().starts_with("invalid mirror"));
}

#[test]
fn hosts_are_read_as_containerd_does() {
    let folder = folder(&[
        (
            "a.example/hosts.toml",
            r#"
server = "https://a.example"

[host."https://second.example/prefix"]
  capabilities = ["pull"]
  skip_verify = true
  [host."https://second.example/prefix".header]
    x-custom = ["1", "2"]

[host."http://first.example:5000"]
  ca = "ca.pem"
  client = [["cert.pem", "key.pem"]]

[host."https://own.example/v2/mirror"]
  capabilities = ["pull", "resolve"]
  override_path = true
"#,
        ),
        ("a.example/ca.pem", "ca"),
        ("a.example/cert.pem", "cert"),
        ("a.example/key.pem", "key"),
    ]);
    let found = load("a.example", &folder).unwrap();
    let names: Vec<&str> = found.iter().map(|place| place.authority.as_str()).collect();
    assert_eq!(
        names,
        [
            "second.example",
            "first.example:5000",
            "own.example",
            "a.example"
        ]
    );
    assert_eq!(
        found
            .iter()
            .map(|place| (place.pull, place.resolve, place.push))
            .collect::<Vec<_>>(),
        [
            (true, false, false),
            (true, true, true),
            (true, true, false),
            (true, true, true)
        ]
    );
    assert_eq!(
        found
            .iter()
            .map(|place| place.root.as_str())
            .collect::<Vec<_>>(),
        ["/prefix/v2", "/v2", "/v2/mirror", "/v2"]
    );
    assert!(found[0].tls.skip_verify && found[0].headers.len() == 2);
    assert_eq!(
        found[1].tls.identity,
        Some((b"cert".to_vec(), b"key".to_vec()))
    );
    assert_eq!(
        found.iter().map(|place| place.mirror).collect::<Vec<_>>(),
        [true, true, true, false]
    );
    assert_eq!(
        found[2].url(true, "/v2/a/manifests/t").path,
        "/v2/mirror/a/manifests/t?ns=a.example"
    );
    assert_eq!(
        found[3].url(true, "/v2/a/manifests/t").path,
        "/v2/a/manifests/t"
    );
}

#[test]
fn a_broken_file_is_named() {
    for text in [
        "server = 5",
        "[host.\"ftp://x\"]",
        "[host.\"https://x\"]\nca = \"missing\"",
        "]",
    ] {
        let folder = folder(&[("_default/hosts.toml", text)]);
        let error = load("a.example", &folder).unwrap_err().to_string();
        assert!(
            error.contains(folder.path().to_str().unwrap()),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_registry_does_not_lead_out_of_the_folder() {
    for name in ["../x", "..", "a/b"] {
        let found = candidates(Path::new("/certs"), name, name);
        assert_eq!(found, Vec::<PathBuf>::new(), "{name}");
    }
}
