//! Mirrors: each is shown what is its own, and nothing else.
#![expect(
    clippy::disallowed_methods,
    reason = "a test writes its own configuration"
)]

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::registry::{PASSWORD, Real, Scripted, USER};

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

/// A client with this `hosts.toml` for `registry.invalid`.
fn with_hosts(certs: &tempfile::TempDir, text: &str) -> Client {
    let folder = certs.path().join("registry.invalid");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("hosts.toml"), text).unwrap();
    Client::new(Options {
        certs: vec![certs.path().to_owned()],
        ..options()
    })
    .unwrap()
}

/// A client of `registry.invalid`, which stands at `own` and has a mirror.
fn mirrored(certs: &tempfile::TempDir, own: &Scripted, mirror: &str) -> Client {
    let own = own.host();
    let text = format!("server = \"http://{own}\"\n[host.\"http://{mirror}\"]\n");
    with_hosts(certs, &text)
}

/// Somebody who takes connections and never says a word; how many came.
fn silent() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let came = count.clone();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for connection in listener.incoming() {
            came.fetch_add(1, Ordering::SeqCst);
            kept.push(connection);
        }
    });
    (host, count)
}

#[tokio::test]
async fn a_mirror_that_says_nothing_costs_little_and_once() {
    let (mirror, came) = silent();
    let own = registry(|_| Answer::ok(MANIFEST));
    let certs = tempfile::tempdir().unwrap();
    let client = mirrored(&certs, &own, &mirror);
    let name = name("registry.invalid");
    let ask = || async {
        let repository = client.repository(&name, Credentials::Anonymous, Scope::Pull);
        repository.manifest("tag").await.unwrap();
    };
    let begun = Instant::now();
    // Those who come while it is waited for do not wait for it again.
    tokio::join!(ask(), ask(), ask());
    ask().await;
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert_eq!(came.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_mirror_that_greets_and_says_nothing_more_is_waited_for_once() {
    let waits = Duration::from_secs(11);
    let mirror = registry(move |_| {
        std::thread::sleep(waits);
        Answer::new(404)
    });
    let own = registry(|_| Answer::ok(MANIFEST));
    let certs = tempfile::tempdir().unwrap();
    let client = mirrored(&certs, &own, &mirror.host());
    let name = name("registry.invalid");
    let repository = client.repository(&name, Credentials::Anonymous, Scope::Pull);
    let begun = Instant::now();
    for _ in 0..3 {
        repository.manifest("tag").await.unwrap();
    }
    assert!(begun.elapsed() < 2 * waits);
}

#[tokio::test]
async fn a_registry_that_nothing_follows_is_asked_again_at_once() {
    let mended = Arc::new(AtomicBool::new(false));
    let good = mended.clone();
    let own = Scripted::start(move |_| {
        if good.load(Ordering::SeqCst) {
            Answer::ok(MANIFEST)
        } else {
            Answer::challenge(r#"Bearer realm="nowhere""#)
        }
    });
    let repository = pull(&own.host());
    assert!(repository.manifest("tag").await.is_err());
    mended.store(true, Ordering::SeqCst);
    repository.manifest("tag").await.unwrap();
}

#[tokio::test]
async fn a_blob_is_looked_for_where_it_would_be_uploaded() {
    let first = registry(|_| Answer::new(404));
    let own = registry(|_| Answer::ok("content"));
    let certs = tempfile::tempdir().unwrap();
    let client = mirrored(&certs, &own, &first.host());
    let name = name("registry.invalid");
    let pushing = client.repository(&name, Credentials::Anonymous, Scope::Push);
    assert!(!pushing.has_blob(&sha256(b"content")).await.unwrap());
}
