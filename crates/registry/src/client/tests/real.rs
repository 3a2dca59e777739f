//! Debian's docker-registry.

use std::cell::Cell;
use std::fs::File;
use std::io::Write as _;

use testkit::registry::{AUTHORITY, CERTIFICATE, KEY, PASSWORD, Real, SELF_SIGNED, USER};

use super::*;
use crate::wire::media;

fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn pull_push(host: &str) -> Repository {
    client().repository(&name(host), Credentials::Anonymous, Scope::Push)
}

async fn push(repository: &Repository, bytes: &[u8]) -> Digest {
    let (digest, file, sent) = (sha256(bytes), file_of(bytes), Cell::new(0));
    repository
        .upload_blob(
            &digest,
            bytes.len() as u64,
            || File::open(file.path()),
            |bytes| sent.set(bytes),
        )
        .await
        .unwrap();
    assert_eq!(sent.get(), bytes.len() as u64);
    digest
}

#[tokio::test]
async fn what_is_pushed_is_pulled_bit_for_bit() {
    let real = Real::start();
    let client = client();
    let repository = client.repository(&name(real.host()), Credentials::Anonymous, Scope::Push);
    let bytes = content(3_000_000);
    let digest = sha256(&bytes);
    assert!(!repository.has_blob(&digest).await.unwrap());
    push(&repository, &bytes).await;
    push(&repository, b"").await;
    assert!(repository.has_blob(&digest).await.unwrap());
    assert_eq!(
        repository.blob_size(&digest).await.unwrap(),
        Some(3_000_000)
    );
    assert_eq!(
        fetch(&repository, &digest, bytes.len()).await.unwrap(),
        bytes
    );
    let mut rest = repository
        .blob(&digest, 3_000_000, 2_999_000)
        .await
        .unwrap();
    assert_eq!(whole(&mut rest).await.unwrap(), bytes[2_999_000..]);

    let config = push(&repository, b"{}").await;
    let manifest = format!(
        r#"{{"schemaVersion":2, "mediaType":"{m}","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","size":2,"digest":"{config}"}},"layers":[{{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":3000000,"digest":"{digest}"}}]}}"#,
        m = media::DOCKER_MANIFEST
    );
    for tag in ["one", "two", "three"] {
        let put = repository
            .put_manifest(tag, media::DOCKER_MANIFEST, manifest.clone().into())
            .await
            .unwrap();
        assert_eq!(put, sha256(manifest.as_bytes()));
    }
    let by_tag = repository.manifest("two").await.unwrap();
    assert_eq!(by_tag.bytes, manifest.as_bytes());
    assert_eq!(by_tag.media_type, media::DOCKER_MANIFEST);
    let by_digest = repository.manifest(by_tag.digest.as_str()).await.unwrap();
    assert_eq!(by_digest, by_tag);
    assert_eq!(
        repository.manifest_digest("two").await.unwrap(),
        Some(by_tag.digest)
    );
    let mut tags = repository.tags().await.unwrap();
    tags.sort();
    assert_eq!(tags, ["one", "three", "two"]);

    let other = format!("{}/c:tag", real.host()).parse().unwrap();
    let other = client.repository(&other, Credentials::Anonymous, Scope::Push);
    assert!(other.mount_blob(&digest, "a/b").await.unwrap());
    assert!(other.has_blob(&digest).await.unwrap());
    assert!(!other.mount_blob(&sha256(b"?"), "a/b").await.unwrap());
}

#[tokio::test]
async fn a_registry_without_referrers_gets_lists_of_them() {
    let real = Real::start();
    let client = client();
    let repository = client.repository(&name(real.host()), Credentials::Anonymous, Scope::Push);
    let config = push(&repository, b"{}").await;
    let manifest = |subject: &str, note: &str| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{m}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"{config}"}},"layers":[],{subject}"annotations":{{"note":"{note}"}}}}"#,
            m = media::OCI_MANIFEST
        )
    };
    let put = async |tag: &str, text: &str| {
        let put = repository.put_manifest(tag, media::OCI_MANIFEST, text.to_owned().into());
        put.await.unwrap()
    };
    let subject = put("subject", &manifest("", "none")).await;
    let names = format!(
        r#""subject":{{"mediaType":"{m}","digest":"{subject}","size":1}},"#,
        m = media::OCI_MANIFEST
    );
    // Each is listed once, however often it is pushed.
    let texts = [manifest(&names, "one"), manifest(&names, "two")];
    for text in [&texts[0], &texts[1], &texts[0]] {
        put("referrer", text).await;
    }
    let tag = subject.as_str().replace(':', "-");
    let list = repository.manifest(&tag).await.unwrap();
    assert_eq!(list.media_type, media::OCI_INDEX);
    let list: serde_json::Value = serde_json::from_slice(&list.bytes).unwrap();
    let expected = texts.iter().zip(["one", "two"]).map(|(text, note)| {
        serde_json::json!({
            "mediaType": media::OCI_MANIFEST, "size": text.len(), "digest": sha256(text.as_bytes()).as_str(),
            "artifactType": "application/vnd.oci.image.config.v1+json", "annotations": {"note": note}
        })
    });
    assert_eq!(list["manifests"], expected.collect::<serde_json::Value>());

    // A tag that is something else stays what it is, and nothing fails.
    let other = put("other", &manifest("", "other")).await;
    let taken = other.as_str().replace(':', "-");
    let before = put(&taken, &manifest("", "taken")).await;
    put(
        "referrer",
        &manifest(&names.replace(subject.as_str(), other.as_str()), "three"),
    )
    .await;
    assert_eq!(repository.manifest(&taken).await.unwrap().digest, before);
}

#[tokio::test]
async fn what_is_missing_is_said_in_dockers_words() {
    let real = Real::start();
    let repository = pull(real.host());
    let host = real.host();
    assert_eq!(
        repository.manifest("tag").await.unwrap_err().to_string(),
        format!("manifest for {host}/a/b:tag not found: manifest unknown: manifest unknown")
    );
    assert_eq!(
        repository.tags().await.unwrap_err().to_string(),
        format!(
            "repository {host}/a/b not found: name unknown: repository name not known to registry"
        )
    );
    let digest = sha256(b"?");
    let error = fetch(&repository, &digest, 1).await.unwrap_err();
    assert_eq!(error.to_string(), "blob unknown: blob unknown to registry");
    assert!(error.is_not_found());
}

#[tokio::test]
async fn a_password_is_asked_for_and_shown() {
    let real = Real::with_password();
    let credentials = Credentials::Basic {
        username: USER.to_owned(),
        password: PASSWORD.to_owned(),
    };
    let host = real.host();
    let client = client();
    assert_eq!(client.login(host, &credentials).await.unwrap(), None);
    let error = client.login(host, &user()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("login attempt to http://{host}/v2/ failed with status: 401 Unauthorized")
    );
    assert_eq!(error.kind(), stdx::ErrorKind::Unauthorized);
    let repository = client.repository(&name(host), credentials, Scope::Push);
    push(&repository, b"content").await;
    let error = pull(host).manifest("tag").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Get \"http://{host}/v2/a/b/manifests/tag\": no basic auth credentials")
    );
    let wrong = client.repository(&name(host), user(), Scope::Pull);
    assert_eq!(
        wrong.manifest("tag").await.unwrap_err().to_string(),
        "unauthorized: authentication required"
    );
}

/// A client with these files in the folder for this registry.
fn with_folder(folder: &tempfile::TempDir, host: &str, files: &[(&str, &str)]) -> Repository {
    let own = folder.path().join(host);
    std::fs::create_dir_all(&own).unwrap();
    for (name, text) in files {
        File::create(own.join(name))
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }
    let options = Options {
        certs: vec![folder.path().to_owned()],
        ..options()
    };
    let client = Client::new(options).unwrap();
    client.repository(&name(host), Credentials::Anonymous, Scope::Push)
}

#[tokio::test]
async fn certificates_are_checked_where_they_are_given() {
    let real = Real::with_tls(false);
    let host = real.host().replace("127.0.0.1", "localhost");
    // On loopback, none is needed.
    let digest = push(&pull_push(&host), b"content").await;
    let folder = tempfile::tempdir().unwrap();
    let repository = with_folder(&folder, &host, &[("ca.crt", AUTHORITY)]);
    assert!(repository.has_blob(&digest).await.unwrap());
    // The host's own certificate may stand in the place of who signed it.
    let repository = with_folder(&folder, &host, &[("ca.crt", CERTIFICATE)]);
    assert!(repository.has_blob(&digest).await.unwrap());
    // Changed settings count at once; TLS that fails is not tried again in clear.
    let repository = with_folder(&folder, &host, &[("ca.crt", SELF_SIGNED)]);
    let error = repository.has_blob(&digest).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "Get \"https://{host}/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority"
        )
    );
}

#[tokio::test]
async fn a_registry_may_be_its_own_authority() {
    let tls = ", tls: {certificate: DIRECTORY/self_signed.pem, key: DIRECTORY/key.pem}";
    let real = Real::with_settings(tls, "");
    let folder = tempfile::tempdir().unwrap();
    let repository = with_folder(&folder, real.host(), &[("ca.crt", SELF_SIGNED)]);
    push(&repository, b"content").await;
    let repository = with_folder(&folder, real.host(), &[("ca.crt", AUTHORITY)]);
    let error = repository.has_blob(&sha256(b"x")).await.unwrap_err();
    let words = "x509: certificate signed by unknown authority";
    assert!(error.to_string().ends_with(words), "{error}");
}

#[tokio::test]
async fn a_clients_certificate_is_shown() {
    let real = Real::with_tls(true);
    let folder = tempfile::tempdir().unwrap();
    let repository = with_folder(&folder, real.host(), &[("ca.crt", AUTHORITY)]);
    assert!(repository.has_blob(&sha256(b"x")).await.is_err());
    let files = [
        ("ca.crt", AUTHORITY),
        ("client.cert", CERTIFICATE),
        ("client.key", KEY),
    ];
    let repository = with_folder(&folder, real.host(), &files);
    assert!(!repository.has_blob(&sha256(b"x")).await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let hosts = format!(
        "[host.\"https://{}\"]\nca = \"a.pem\"\nclient = [[\"c.pem\", \"k.pem\"]]\n",
        real.host()
    );
    let files = [
        ("hosts.toml", hosts.as_str()),
        ("a.pem", AUTHORITY),
        ("c.pem", CERTIFICATE),
        ("k.pem", KEY),
    ];
    let repository = with_folder(&folder, "registry.example", &files);
    push(&repository, b"content").await;
}

#[tokio::test]
async fn nobody_there_reads_as_in_docker() {
    let host = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap()
    };
    let error = pull(&host.to_string()).manifest("tag").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Get \"http://{host}/v2/\": dial tcp {host}: connect: connection refused")
    );
}
