//! Mirrors: each is shown what is its own, and nothing else.
#![expect(
    clippy::disallowed_methods,
    reason = "a test writes its own configuration"
)]

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::registry::{PASSWORD, Real, USER};

use super::*;
use crate::wire::media;

const MANIFEST: &str = r#"{"schemaVersion":2,"config":{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

#[tokio::test]
async fn a_mirror_is_shown_the_credentials_of_its_own() {
    let mirror = Real::with_password();
    let credentials = Credentials::Basic {
        username: USER.to_owned(),
        password: PASSWORD.to_owned(),
    };
    let pushing = client().repository(&name(mirror.host()), credentials, Scope::Push);
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(config.path(), "{}").unwrap();
    let open = || fs::File::open(config.path());
    pushing
        .upload_blob(&sha256(b"{}"), 2, open, |_| ())
        .await
        .unwrap();
    let manifest = MANIFEST.replace(
        "2,\"config\"",
        &format!("2,\"mediaType\":\"{}\",\"config\"", media::OCI_MANIFEST),
    );
    let manifest = manifest.replace(
        "\"digest\"",
        "\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\"",
    );
    pushing
        .put_manifest("tag", media::OCI_MANIFEST, manifest.into())
        .await
        .unwrap();

    let certs = tempfile::tempdir().unwrap();
    let folder = certs.path().join("registry.invalid");
    fs::create_dir(&folder).unwrap();
    let ask = |header: &str| {
        let text = format!("[host.\"http://{}\"]\n{header}", mirror.host());
        fs::write(folder.join("hosts.toml"), text).unwrap();
        let options = Options {
            certs: vec![certs.path().to_owned()],
            ..options()
        };
        // What the client sends is for the registry itself.
        let repository = Client::new(options).unwrap().repository(
            &name("registry.invalid"),
            user(),
            Scope::Pull,
        );
        async move { repository.manifest("tag").await }
    };
    let own = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let header = format!(
        "[host.\"http://{}\".header]\nAuthorization = \"Basic {own}\"\n",
        mirror.host()
    );
    assert!(ask(&header).await.is_ok());
    assert!(ask("").await.is_err());
    let canary = STANDARD.encode("canary-user:canary-password");
    assert!(!mirror.log().contains(&canary) && !mirror.log().contains("canary-user"));
}
