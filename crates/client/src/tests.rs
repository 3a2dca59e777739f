//! The client against a scripted peer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;

/// Serves one connection: each answer is sent after one request head has arrived.
fn serve(answers: Vec<&'static str>) -> (Client, tokio::task::JoinHandle<Vec<u8>>) {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("client-{}-{number}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let host = Host::Unix(path.clone());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        std::fs::remove_file(path).unwrap();
        let mut seen = Vec::new();
        for answer in answers {
            let before = seen.len();
            while !seen[before..].windows(4).any(|end| end == b"\r\n\r\n") {
                if stream.read_buf(&mut seen).await.unwrap() == 0 {
                    return seen;
                }
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        drop(stream.read_to_end(&mut seen).await);
        seen
    });
    (Client::new(host, None), task)
}

#[tokio::test]
async fn one_connection_serves_calls_in_sequence() {
    let (client, task) = serve(vec![
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n2\r\n,2\r\n1\r\n]\r\n0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 17\r\n\r\n{\"message\":\"no!\"}",
    ]);
    let empty: serde_json::Value = client.call(Request::new(Method::Get, "/a")).await.unwrap();
    assert_eq!(empty, serde_json::json!({}));
    let list: Vec<u8> = client
        .call(Request::new(Method::Post, query("/b", &[("x", "a b/")])))
        .await
        .unwrap();
    assert_eq!(list, [1, 2]);
    let error = client
        .perform(Request::new(Method::Delete, "/c"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.kind()),
        ("no!", stdx::ErrorKind::NotFound)
    );
    drop(client);
    let seen = String::from_utf8(task.await.unwrap()).unwrap();
    assert!(
        seen.contains("GET /a HTTP/1.1\r\n") && seen.contains("POST /b?x=a%20b%2F HTTP/1.1\r\n"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_hijacked_stream_keeps_the_bytes_that_came_with_its_head() {
    let (client, _task) = serve(vec![
        "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/x\r\n\r\nearly",
    ]);
    let hijacked = client
        .hijack(Request::new(Method::Post, "/attach"))
        .await
        .unwrap();
    assert_eq!(hijacked.content_type, "application/x");
    let (mut reader, mut writer) = hijacked.split();
    let mut buffer = Vec::new();
    assert_eq!(reader.read(&mut buffer).await.unwrap(), 5);
    assert_eq!(buffer, b"early");
    writer.write(b"input").await.unwrap();
    writer.close().await.unwrap();
}

#[tokio::test]
async fn values_come_out_of_a_stream_however_it_is_cut() {
    let (client, _task) = serve(vec![
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n9\r\n1}\r\n{\"b\":\r\n2\r\n2}\r\n0\r\n\r\n",
    ]);
    let mut values = Vec::new();
    let mut response = client
        .send(Request::new(Method::Get, "/events"))
        .await
        .unwrap();
    response
        .body
        .values(&mut |value| values.push(value))
        .await
        .unwrap();
    assert_eq!(
        values,
        [serde_json::json!({"a": 1}), serde_json::json!({"b": 2})]
    );
}

#[test]
fn hosts_parse() {
    for (text, expect) in [
        ("unix:///x.sock", Some("unix:///x.sock")),
        ("tcp://1.2.3.4", Some("tcp://1.2.3.4:2375")),
        ("tcp://h:1/", Some("tcp://h:1")),
        ("x", None),
        ("unix://", None),
    ] {
        assert_eq!(
            text.parse::<Host>()
                .ok()
                .map(|host| host.to_string())
                .as_deref(),
            expect,
            "{text}"
        );
    }
}
