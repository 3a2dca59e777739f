//! A registry that sends other than it should: each is a clear error, or is mended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use testkit::registry::Scripted;

use super::*;
use crate::wire::media;

const SIZE: usize = 3_000_000;

#[tokio::test]
async fn a_truncated_blob_is_taken_up_where_it_broke() {
    let bytes = content(SIZE);
    let digest = sha256(&bytes);
    let (sent, count) = (bytes.clone(), AtomicUsize::new(0));
    let evil = registry(move |request| {
        let answer = Answer::range(request, &sent);
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => answer.closed_after(1_000_000),
            1 => answer.reset_after(1_200_000),
            _ => answer,
        }
    });
    assert_eq!(
        fetch(&pull(&evil.host()), &digest, SIZE).await.unwrap(),
        bytes
    );
    let ranges: Vec<usize> = evil
        .requests()
        .iter()
        .filter(|request| request.path.contains("/blobs/"))
        .map(Request::offset)
        .collect();
    assert!(
        ranges.len() == 3 && ranges[1] == 1_000_000 && ranges.is_sorted(),
        "{ranges:?}"
    );
}

#[tokio::test]
async fn a_registry_without_ranges_is_read_again_from_the_start() {
    let bytes = content(SIZE);
    let digest = sha256(&bytes);
    let (sent, count) = (bytes.clone(), AtomicUsize::new(0));
    let evil = registry(move |_| {
        let answer = Answer::ok(sent.clone());
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => answer.closed_after(1_000_000),
            _ => answer,
        }
    });
    assert_eq!(
        fetch(&pull(&evil.host()), &digest, SIZE).await.unwrap(),
        bytes
    );
}

#[tokio::test]
async fn a_blob_that_always_breaks_ends_in_an_error() {
    let evil = registry(|request| Answer::range(request, &content(SIZE)).closed_after(10));
    let error = fetch(&pull(&evil.host()), &sha256(b"x"), SIZE)
        .await
        .unwrap_err();
    assert!(error.to_string().ends_with(": unexpected EOF"), "{error}");
    assert!(evil.requests().len() < 10);
}

#[tokio::test]
async fn an_endless_blob_is_cut_at_its_size() {
    let evil = registry(|_| Answer::ok(content(1 << 16)).endless());
    let got = fetch(&pull(&evil.host()), &sha256(b"x"), SIZE)
        .await
        .unwrap();
    assert_eq!(got.len(), SIZE);
}

#[tokio::test]
async fn a_blob_of_the_wrong_length_is_refused() {
    let evil = registry(|_| Answer::ok(content(SIZE + 1)));
    let digest = sha256(b"x");
    let error = fetch(&pull(&evil.host()), &digest, SIZE).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("blob {digest}: the registry has 3000001 bytes, the manifest says 3000000")
    );
}

#[tokio::test]
async fn another_range_than_was_asked_for_is_refused() {
    let evil = registry(|_| {
        Answer::new(206)
            .header("Content-Range", "bytes 5-9/10")
            .body("56789")
    });
    let repository = pull(&evil.host());
    let outcome = repository.blob(&sha256(b"x"), 10, 3).await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("not the range"), "{error}");
}

#[tokio::test]
async fn a_manifest_with_another_digest_is_refused() {
    let evil = registry(|_| Answer::ok(r#"{"schemaVersion":2}"#));
    let digest = sha256(b"other");
    let error = pull(&evil.host())
        .manifest(digest.as_str())
        .await
        .unwrap_err();
    let start = format!("manifest verification failed for digest {digest}");
    assert!(error.to_string().starts_with(&start), "{error}");

    let evil = registry(move |_| {
        Answer::ok("{}").header("Docker-Content-Digest", sha256(b"other").as_str())
    });
    let error = pull(&evil.host()).manifest("tag").await.unwrap_err();
    let start = format!("image verification failed for digest {digest}");
    assert!(error.to_string().starts_with(&start), "{error}");
}

/// A manifest of schema 1 with layers of its own that calls another document what was signed.
fn around(payload: &str) -> String {
    let protected = format!(
        r#"{{"formatLength":0,"formatTail":"{}"}}"#,
        URL_SAFE_NO_PAD.encode(payload)
    );
    format!(
        r#"{{"schemaVersion":1,"fsLayers":[{{"blobSum":"{}"}}],"history":[{{"v1Compatibility":"{{}}"}}],"signatures":[{{"protected":"{}"}}]}}"#,
        sha256(b"evil"),
        URL_SAFE_NO_PAD.encode(protected)
    )
}

#[tokio::test]
async fn nothing_is_read_of_a_signed_manifest_but_what_its_digest_is_of() {
    for genuine in [
        r#"{"schemaVersion":2,"config":{},"layers":[]}"#,
        r#"{"schemaVersion":1,"fsLayers":[],"history":[]}"#,
    ] {
        for kind in [media::SCHEMA1_SIGNED, media::SCHEMA1] {
            let pinned = sha256(genuine.as_bytes());
            let said = pinned.to_string();
            let evil = registry(move |_| {
                Answer::ok(around(genuine))
                    .header("Content-Type", kind)
                    .header("Docker-Content-Digest", &said)
            });
            for asked in [pinned.as_str(), "tag"] {
                let manifest = pull(&evil.host()).manifest(asked).await.unwrap();
                assert_eq!(manifest.digest, pinned);
                assert_eq!(manifest.bytes, genuine.as_bytes());
            }
        }
    }
}

#[tokio::test]
async fn huge_documents_are_not_read() {
    let limit = "is larger than 4194304 bytes";
    for evil in [
        registry(|_| Answer::ok(vec![b' '; (4 << 20) + 1])),
        registry(|_| Answer::ok(vec![b' '; 1 << 16]).endless()),
        registry(|_| Answer::ok("{}").header("Content-Length", "99999999999")),
    ] {
        let repository = pull(&evil.host());
        let error = repository.manifest("tag").await.unwrap_err().to_string();
        assert!(error.ends_with(limit), "{error}");
        let error = repository.tags().await.unwrap_err().to_string();
        assert!(error.ends_with(limit), "{error}");
    }
    let evil = registry(|_| Answer::new(404).body(vec![b'x'; 1 << 16]).endless());
    let error = pull(&evil.host()).manifest("tag").await.unwrap_err();
    assert!(
        error.to_string().ends_with("is larger than 65536 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn a_head_without_end_is_an_error() {
    let evil = registry(|_| Answer::ok("{}").header("X-Long", &"x".repeat(1 << 20)));
    let error = pull(&evil.host()).manifest("tag").await.unwrap_err();
    assert!(
        error.to_string().contains("malformed HTTP response"),
        "{error}"
    );
}

#[tokio::test]
async fn lengths_that_contradict_one_another_are_an_error() {
    let evil = registry(|_| {
        Answer::ok("{}")
            .header("Content-Length", "2")
            .header("Content-Length", "20")
    });
    let error = pull(&evil.host()).manifest("tag").await.unwrap_err();
    assert!(
        error.to_string().contains("malformed HTTP response"),
        "{error}"
    );
    let evil = registry(|_| {
        Answer::ok("{}")
            .header("Content-Length", "20")
            .closed_after(2)
    });
    let error = pull(&evil.host()).manifest("tag").await.unwrap_err();
    assert!(error.to_string().ends_with("unexpected EOF"), "{error}");
}

#[tokio::test]
async fn an_endless_list_of_tags_is_an_error() {
    let count = AtomicUsize::new(0);
    let evil = registry(move |_| {
        let page = count.fetch_add(1, Ordering::SeqCst);
        Answer::ok(r#"{"tags":["a"]}"#).header(
            "Link",
            &format!("</v2/a/b/tags/list?last={page}>; rel=\"next\""),
        )
    });
    let error = pull(&evil.host()).tags().await.unwrap_err();
    assert!(error.to_string().ends_with("has no end"), "{error}");
    let evil = registry(|_| {
        Answer::ok(r#"{"tags":["a"]}"#).header("Link", "<http://127.0.0.2:1/x>; rel=next")
    });
    let error = pull(&evil.host()).tags().await.unwrap_err();
    assert!(error.to_string().ends_with("is elsewhere"), "{error}");
}

#[tokio::test]
async fn a_page_of_tags_after_a_redirect_is_asked_for_with_no_credentials() {
    let other = Scripted::start(|_| {
        Answer::ok(r#"{"tags":["a"]}"#).header("Link", "</v2/a/b/tags/list?last=a>; rel=next")
    });
    let target = format!("http://{}/v2/a/b/tags/list", other.host());
    let evil = Scripted::start(move |request| match request.header("authorization") {
        None => Answer::challenge(r#"Basic realm="r""#),
        Some(_) if request.path == "/v2/" => Answer::ok("{}"),
        Some(_) => Answer::new(307).header("Location", &target),
    });
    let repository = client().repository(&name(&evil.host()), user(), Scope::Pull);
    let error = repository.tags().await.unwrap_err();
    assert!(error.to_string().ends_with("is elsewhere"), "{error}");
    let requests = other.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("authorization"), None);
}

#[tokio::test]
async fn pages_of_tags_are_joined() {
    let evil = registry(|request| {
        if request.path.contains("last=b") {
            Answer::ok(r#"{"tags":["c"]}"#)
        } else {
            Answer::ok(r#"{"tags":["a","b"]}"#)
                .header("Link", r#"</v2/a/b/tags/list?last=b>; rel="next""#)
        }
    });
    assert_eq!(pull(&evil.host()).tags().await.unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_for_a_while() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let evil = registry(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::new(429).header("Retry-After", "0"),
        1 => Answer::new(503),
        _ => Answer::ok("{}"),
    });
    pull(&evil.host()).manifest("tag").await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 3);

    let evil = registry(|_| {
        Answer::new(429)
            .header("Retry-After", "86400")
            .body(r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"later"}]}"#)
    });
    let error = pull(&evil.host()).manifest("tag").await.unwrap_err();
    assert_eq!(error.to_string(), "toomanyrequests: later");
    assert_eq!(evil.requests().len(), 2);
}
