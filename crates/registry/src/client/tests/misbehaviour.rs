//! Redirects, realms and tokens: who gets to see credentials.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::registry::Scripted;

use super::*;

fn authorizations(evil: &Scripted) -> Vec<Option<String>> {
    let requests = evil.requests();
    requests
        .iter()
        .map(|request| request.header("authorization").map(str::to_owned))
        .collect()
}

/// A registry that wants tokens of its own `/token`, and knows only the one of that number.
fn with_tokens(valid: usize, expires: &'static str) -> (Scripted, Arc<AtomicUsize>) {
    let issued = Arc::new(AtomicUsize::new(0));
    let count = issued.clone();
    let evil = Scripted::start(move |request| {
        let host = request.header("host").unwrap().to_owned();
        if request.path.starts_with("/token") {
            let number = count.fetch_add(1, Ordering::SeqCst);
            return Answer::ok(format!(r#"{{"token":"t{number}"{expires}}}"#));
        }
        let token = format!("Bearer t{valid}");
        match request.header("authorization") {
            Some(sent) if sent == token || (valid == usize::MAX) => Answer::ok("{}"),
            _ => Answer::challenge(&format!(
                r#"Bearer realm="http://{host}/token",service="s",scope="repository:a/b:pull""#
            )),
        }
    });
    (evil, issued)
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_kept() {
    let (evil, issued) = with_tokens(0, r#","expires_in":300"#);
    let client = client();
    for _ in 0..3 {
        let repository = client.repository(&name(&evil.host()), user(), Scope::Pull);
        repository.manifest("tag").await.unwrap();
    }
    assert_eq!(issued.load(Ordering::SeqCst), 1);
    let requests = evil.requests();
    let token = requests
        .iter()
        .find(|request| request.path.starts_with("/token"))
        .unwrap();
    assert_eq!(
        token.path,
        "/token?account=canary-user&service=s&scope=repository%3Aa%2Fb%3Apull"
    );
    // canary-user:canary-password
    assert_eq!(
        token.header("authorization"),
        Some("Basic Y2FuYXJ5LXVzZXI6Y2FuYXJ5LXBhc3N3b3Jk")
    );
    // Other credentials are other tokens.
    let other = client.repository(&name(&evil.host()), Credentials::Anonymous, Scope::Pull);
    assert!(other.manifest("tag").await.is_err());
    assert!(issued.load(Ordering::SeqCst) > 1);
}

#[tokio::test]
async fn a_token_that_expired_is_replaced() {
    // Believed for no time at all.
    let (evil, issued) = with_tokens(usize::MAX, r#","expires_in":1"#);
    let repository = pull(&evil.host());
    repository.manifest("tag").await.unwrap();
    repository.manifest("tag").await.unwrap();
    assert_eq!(issued.load(Ordering::SeqCst), 2);

    // The registry takes the second alone: the first is forgotten.
    let (evil, issued) = with_tokens(1, r#","expires_in":300"#);
    let repository = pull(&evil.host());
    repository.manifest("tag").await.unwrap();
    repository.manifest("tag").await.unwrap();
    assert_eq!(issued.load(Ordering::SeqCst), 2);

    // One that is never taken is an error, soon.
    let (evil, issued) = with_tokens(100, "");
    let error = pull(&evil.host()).manifest("tag").await.unwrap_err();
    assert_eq!(error.to_string(), "unauthorized: authentication required");
    assert_eq!(issued.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_scope_that_the_registry_names_is_asked_for_too() {
    let evil = Scripted::start(|request| {
        let host = request.header("host").unwrap().to_owned();
        if request.path.starts_with("/token") {
            let token = if request.path.contains("named") {
                "much"
            } else {
                "little"
            };
            return Answer::ok(format!(r#"{{"token":"{token}"}}"#));
        }
        match request.header("authorization") {
            Some("Bearer much") => Answer::ok("{}"),
            _ => Answer::challenge(&format!(
                r#"Bearer realm="http://{host}/token",scope="repository:named:pull repository:a/b:pull""#
            )),
        }
    });
    let repository = pull(&evil.host());
    repository.manifest("tag").await.unwrap();
    repository.manifest("tag").await.unwrap();
    let requests = evil.requests();
    let tokens: Vec<&str> = requests
        .iter()
        .map(|request| request.path.as_str())
        .filter(|path| path.starts_with("/token"))
        .collect();
    assert_eq!(
        tokens,
        [
            "/token?scope=repository%3Aa%2Fb%3Apull",
            "/token?scope=repository%3Aa%2Fb%3Apull&scope=repository%3Anamed%3Apull"
        ]
    );
}

#[tokio::test]
async fn an_identity_token_buys_tokens_by_post() {
    let (evil, _) = with_tokens(0, "");
    let credentials = Credentials::IdentityToken("canary&identity".to_owned());
    let repository = client().repository(&name(&evil.host()), credentials, Scope::Push);
    repository.manifest("tag").await.unwrap();
    let requests = evil.requests();
    let token = requests
        .iter()
        .find(|request| request.path == "/token")
        .unwrap();
    assert_eq!(token.method, "POST");
    assert_eq!(
        String::from_utf8_lossy(&token.body),
        "grant_type=refresh_token&service=s&client_id=docker&scope=repository%3Aa%2Fb%3Apull%2Cpush&refresh_token=canary%26identity"
    );
    assert_eq!(token.header("authorization"), None);
}

#[tokio::test]
async fn a_redirect_elsewhere_carries_no_credentials() {
    let bytes = content(1000);
    let digest = sha256(&bytes);
    let sent = bytes.clone();
    let other = Scripted::start(move |request| match request.path.as_str() {
        "/back" => Answer::range(request, &sent),
        _ => Answer::range(request, &sent),
    });
    let target = other.host();
    let evil = Scripted::start(move |request| match request.header("authorization") {
        None => Answer::challenge(r#"Basic realm="r""#),
        Some(_) if request.path == "/v2/" => Answer::ok("{}"),
        Some(_) => Answer::new(307).header("Location", &format!("http://{target}/blob?signed=1")),
    });
    let repository = client().repository(&name(&evil.host()), user(), Scope::Pull);
    assert_eq!(fetch(&repository, &digest, 1000).await.unwrap(), bytes);
    assert_eq!(authorizations(&other), [None]);
    let sent = authorizations(&evil);
    assert!(sent.last().unwrap().is_some());
}

#[tokio::test]
async fn redirects_that_lead_astray_are_refused() {
    for (location, why) in [
        ("file:///etc/passwd", "no http or https address"),
        ("gopher://127.0.0.1/", "no http or https address"),
        (
            "http://user:password@127.0.0.1/",
            "no http or https address",
        ),
        ("/v2/a/b/manifests/tag", "stopped after 8 redirects"),
    ] {
        let evil = registry(move |_| Answer::new(302).header("Location", location));
        let error = pull(&evil.host()).manifest("tag").await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("password@"), "{error}");
    }
}

#[tokio::test]
async fn a_strangers_redirect_does_not_lead_to_this_machine() {
    let here = registry(|_| Answer::ok("secret"));
    let (shared, url) = (client().shared, format!("http://{}/", here.host()));
    let url = super::super::url::Url::parse(&url).unwrap();
    let call = super::super::http::Call::new(::http::Method::GET, url.clone());
    let http = shared.foreign(&url, false).await.unwrap();
    let error = shared.send(http, false, call.clone()).await.unwrap_err();
    assert!(
        error.to_string().ends_with("127.0.0.1: address refused"),
        "{error}"
    );
    assert!(here.requests().is_empty());
    // A name that leads here does not help.
    let named = super::super::url::Url::parse(&url.to_string().replace("127.0.0.1", "localhost"));
    let call = super::super::http::Call::new(::http::Method::GET, named.clone().unwrap());
    let http = shared.foreign(&named.unwrap(), false).await.unwrap();
    assert!(shared.send(http, false, call).await.is_err());
    assert!(here.requests().is_empty());
}

#[tokio::test]
async fn a_strange_token_server_sees_no_credentials() {
    let stranger = Scripted::start(|_| Answer::ok(r#"{"token":"t"}"#));
    // Another host of loopback by its name.
    let realm = stranger.host().replace("127.0.0.1", "localhost");
    let evil = Scripted::start(move |_| {
        Answer::challenge(&format!(
            r#"Bearer realm="http://{realm}/token",service="s""#
        ))
    });
    for credentials in [user(), Credentials::IdentityToken("canary".to_owned())] {
        let repository = client().repository(&name(&evil.host()), credentials.clone(), Scope::Pull);
        let error = repository.manifest("tag").await.unwrap_err().to_string();
        assert!(error.contains("it is of another domain"), "{error}");
        let error = client()
            .login(&evil.host(), &credentials)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("it is of another domain"),
            "{error}"
        );
    }
    assert!(stranger.requests().is_empty());
    assert!(
        evil.requests()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
    // Trusted by name, it is asked.
    let options = Options {
        realms: vec!["localhost".to_owned()],
        ..options()
    };
    let client = Client::new(options).unwrap();
    let repository = client.repository(&name(&evil.host()), user(), Scope::Pull);
    assert!(repository.manifest("tag").await.is_err());
    assert!(authorizations(&stranger).iter().all(Option::is_some));
}

#[tokio::test]
async fn realms_that_are_none_are_errors() {
    for realm in ["file:///etc/passwd", "x", "", "http://u:p@127.0.0.1/"] {
        let evil = Scripted::start(move |_| {
            Answer::challenge(&format!(r#"Bearer realm="{realm}",service="s""#))
        });
        let error = pull(&evil.host()).manifest("tag").await.unwrap_err();
        assert!(
            error.to_string().contains("no http or https address"),
            "{error}"
        );
    }
    let evil = Scripted::start(|request| {
        if request.path.starts_with("/token") {
            Answer::ok(vec![b'{'; 1 << 16]).endless()
        } else {
            let host = request.header("host").unwrap();
            Answer::challenge(&format!(r#"Bearer realm="http://{host}/token""#))
        }
    });
    let error = pull(&evil.host()).manifest("tag").await.unwrap_err();
    assert!(error.to_string().contains("token from"), "{error}");
    let evil = Scripted::start(|request| {
        if request.path.starts_with("/token") {
            Answer::ok(r#"{"token":"a\r\nX: y"}"#)
        } else {
            let host = request.header("host").unwrap();
            Answer::challenge(&format!(r#"Bearer realm="http://{host}/token""#))
        }
    });
    let error = pull(&evil.host()).manifest("tag").await.unwrap_err();
    assert!(
        error.to_string().contains("a token that is none"),
        "{error}"
    );
}

#[tokio::test]
async fn denial_reads_as_in_docker() {
    let evil = registry(|_| {
        Answer::challenge(
            r#"Bearer realm="http://127.0.0.1:1/",service="s",error="insufficient_scope""#,
        )
    });
    // Nobody gives tokens: what the registry says first counts once a token was tried.
    assert!(pull(&evil.host()).manifest("tag").await.is_err());
    let evil = registry(|_| {
        Answer::new(403).body(
            r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
        )
    });
    let host = evil.host();
    let error = pull(&host).manifest("tag").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "pull access denied for {host}/a/b, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
        )
    );
    assert_eq!(error.kind(), stdx::ErrorKind::NotFound);
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_told_nothing() {
    let mirror = registry(|request| {
        if request.path.contains("/manifests/good") {
            Answer::ok("{}")
        } else {
            Answer::new(404)
        }
    });
    let options = Options {
        hub_mirrors: vec![format!("http://{}", mirror.host())],
        ..options()
    };
    let client = Client::new(options).unwrap();
    let name: Reference = "busybox".parse().unwrap();
    let repository = client.repository(&name, user(), Scope::Pull);
    repository.manifest("good").await.unwrap();
    let requests = mirror.requests();
    assert_eq!(
        requests.last().unwrap().path,
        "/v2/library/busybox/manifests/good"
    );
    assert!(
        requests
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
}

/// A client with this `hosts.toml` for `registry.example`.
fn with_hosts(folder: &tempfile::TempDir, text: &str) -> Client {
    let own = folder.path().join("registry.example");
    std::fs::create_dir_all(&own).unwrap();
    let mut file = std::fs::File::create(own.join("hosts.toml")).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    Client::new(Options {
        certs: vec![folder.path().to_owned()],
        ..options()
    })
    .unwrap()
}

#[tokio::test]
async fn a_host_that_fails_is_passed_over() {
    let broken = registry(|_| Answer::new(404));
    let lying =
        registry(|_| Answer::ok("{}").header("Docker-Content-Digest", sha256(b"x").as_str()));
    let good = registry(|_| Answer::ok(r#"{"good":true}"#));
    let folder = tempfile::tempdir().unwrap();
    let client = with_hosts(
        &folder,
        &format!(
            "server = \"http://{}\"\n[host.\"http://127.0.0.1:1\"]\n[host.\"http://{}\"]\n[host.\"http://{}\"]\n",
            good.host(),
            broken.host(),
            lying.host()
        ),
    );
    let repository = client.repository(&name("registry.example"), user(), Scope::Pull);
    let manifest = repository.manifest("tag").await.unwrap();
    assert_eq!(manifest.bytes, r#"{"good":true}"#.as_bytes());
    for host in [broken, lying, good] {
        let requests = host.requests();
        let last = requests.last().unwrap();
        assert_eq!(last.path, "/v2/a/b/manifests/tag?ns=registry.example");
        assert_eq!(last.header("authorization"), None);
    }
}

#[tokio::test]
async fn what_must_be_encrypted_is_never_asked_in_clear() {
    let plain = registry(|_| Answer::ok("{}"));
    let folder = tempfile::tempdir().unwrap();
    let client = with_hosts(&folder, &format!("server = \"https://{}\"\n", plain.host()));
    let repository = client.repository(&name("registry.example"), user(), Scope::Pull);
    let error = repository.manifest("tag").await.unwrap_err();
    let host = plain.host();
    assert_eq!(
        error.to_string(),
        format!("Get \"https://{host}/v2/\": http: server gave HTTP response to HTTPS client")
    );
    assert!(plain.requests().is_empty());
}

#[tokio::test]
async fn uploads_go_where_the_registry_says_and_credentials_do_not() {
    let elsewhere = Scripted::start(|_| Answer::new(201));
    let target = elsewhere.host();
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = bodies.clone();
    let evil = Scripted::start(move |request| match request.method.as_str() {
        _ if request.header("authorization").is_none() => Answer::challenge("Basic"),
        "POST" if request.path.starts_with("/v2/a/b/") => {
            Answer::new(202).header("Location", &format!("http://{target}/up?state=1"))
        }
        "POST" => Answer::new(202).header("Location", "session?state=1"),
        "PUT" => {
            kept.lock()
                .unwrap()
                .push((request.path.clone(), request.body.clone()));
            Answer::new(201)
        }
        _ => Answer::ok("{}"),
    });
    let (bytes, client) = (content(100_000), client());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file.as_file(), &bytes).unwrap();
    for path in ["a/b", "c"] {
        let name = format!("{}/{path}", evil.host()).parse().unwrap();
        let repository = client.repository(&name, user(), Scope::Push);
        repository
            .upload_blob(
                &sha256(&bytes),
                100_000,
                || std::fs::File::open(file.path()),
                |_| (),
            )
            .await
            .unwrap();
    }
    let requests = elsewhere.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("authorization"), None);
    assert_eq!(requests[0].body, bytes);
    let bodies = bodies.lock().unwrap();
    let digest = sha256(&bytes).to_string().replace(':', "%3A");
    let path = format!("/v2/c/blobs/uploads/session?state=1&digest={digest}");
    assert_eq!(*bodies, [(path, bytes)]);
}

#[tokio::test]
async fn chunks_are_sent_where_the_registry_asks_for_them() {
    let received = Arc::new(Mutex::new(Vec::<u8>::new()));
    let kept = received.clone();
    let evil = registry(move |request| match request.method.as_str() {
        "POST" => Answer::new(202)
            .header("Location", "/up/1")
            .header("OCI-Chunk-Min-Length", "1000"),
        "PATCH" => {
            let mut kept = kept.lock().unwrap();
            // Takes a little less than it was sent, once.
            let take = if kept.is_empty() {
                request.body.len() - 7
            } else {
                request.body.len()
            };
            kept.extend(&request.body[..take]);
            Answer::new(202)
                .header("Location", "/up/2")
                .header("Range", &format!("0-{}", kept.len() - 1))
        }
        _ => Answer::new(201),
    });
    let bytes = content(40_000_000);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file.as_file(), &bytes).unwrap();
    let repository = client().repository(&name(&evil.host()), Credentials::Anonymous, Scope::Push);
    let open = || std::fs::File::open(file.path());
    repository
        .upload_blob(&sha256(&bytes), bytes.len() as u64, open, |_| ())
        .await
        .unwrap();
    assert!(*received.lock().unwrap() == bytes);
    let methods: Vec<String> = evil
        .requests()
        .into_iter()
        .map(|request| request.method)
        .collect();
    assert_eq!(methods, ["GET", "POST", "PATCH", "PATCH", "PATCH", "PUT"]);
}

#[tokio::test]
async fn proxies_are_passed() {
    let proxy = Scripted::start(|request| {
        if request.method == "CONNECT" {
            Answer::new(403)
        } else {
            Answer::ok("{}")
        }
    });
    let direct = registry(|_| Answer::ok("{}"));
    let address = format!("http://user:password@{}", proxy.host());
    let options = Options {
        insecure: vec!["registry.test".to_owned()],
        proxies: Proxies {
            http: address.clone(),
            https: address,
            no_proxy: String::new(),
        },
        ..options()
    };
    let client = Client::new(options).unwrap();
    let repository = |host: &str| {
        let name = name(host);
        client.repository(&name, Credentials::Anonymous, Scope::Pull)
    };
    repository("registry.test").manifest("tag").await.unwrap();
    let requests = proxy.requests();
    let paths: Vec<&str> = requests
        .iter()
        .map(|request| request.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "registry.test:443",
            "http://registry.test/v2/",
            "http://registry.test/v2/a/b/manifests/tag"
        ]
    );
    for request in &requests {
        assert_eq!(
            request.header("proxy-authorization"),
            Some("Basic dXNlcjpwYXNzd29yZA==")
        );
    }
    // What must be encrypted is an error where the proxy refuses.
    let error = repository("other.test").manifest("tag").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Get \"https://other.test/v2/\": proxyconnect tcp: HTTP/1.1 403 Scripted"
    );
    // This machine is not reached through it.
    repository(&direct.host()).manifest("tag").await.unwrap();
    assert_eq!(proxy.requests().len(), 4);
}

#[test]
fn secrets_are_not_printed() {
    let shown = format!(
        "{:?} {:?} {:?}",
        user(),
        Credentials::IdentityToken("canary-identity".to_owned()),
        Credentials::RegistryToken("canary-token".to_owned())
    );
    assert!(!shown.contains("canary-password") && !shown.contains("canary-identity"));
    assert!(!shown.contains("canary-token"));
    let repository = client().repository(&name("example.com"), user(), Scope::Pull);
    assert!(!format!("{repository:?}").contains("canary-password"));
}
