//! The API's answers have the keys and the JSON types of dockerd's recorded ones, at the oldest and the newest version.

use std::path::Path;

use serde_json::{Value, json};
use testkit::{Context, http};

/// Keys of dockerd that are not ours: what they tell of does not exist here. `request key`, a `*` for any request.
const EXCEPTIONS: &str = include_str!("../testdata/api-exceptions.txt");
/// More of them under cgroup v2.
const EXCEPTIONS_V2: &str = include_str!("../testdata/api-exceptions-v2.txt");

fn check(version: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("testdata/docker-28.5/api-{version}.json"));
    let recorded: Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("the recorded answers"))
            .expect("JSON");
    let context = Context::busybox();
    let ours = shapes(&context, &format!("/v{version}"));
    let mut differences = Vec::new();
    for (request, expected) in recorded.as_object().expect("an object") {
        compare(request, "", expected, &ours[request], &mut differences);
    }
    assert!(
        differences.is_empty(),
        "{} differences at {version}:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn shapes_at_1_41() {
    check("1.41");
}

#[test]
fn shapes_at_1_51() {
    check("1.51");
}

/// The same requests as `cargo xtask record` sends to dockerd.
fn shapes(context: &Context, prefix: &str) -> Value {
    let get = |path: String| {
        http::shape(
            &context
                .request("GET", &format!("{prefix}{path}"), None)
                .expect("an answer")
                .json(),
        )
    };
    let post = |path: String, body: &Value| {
        context
            .request("POST", &format!("{prefix}{path}"), Some(body))
            .expect("an answer")
            .json()
    };
    let create =
        json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "Labels": {"a": "b"}, "Env": ["A=b"]});
    let created = post("/containers/create?name=shape".into(), &create);
    let id = created["Id"]
        .as_str()
        .unwrap_or_else(|| panic!("{created}"))
        .to_owned();
    let mut found = serde_json::Map::new();
    found.insert(
        "GET /containers/ID/json created".into(),
        get(format!("/containers/{id}/json")),
    );
    post(format!("/containers/{id}/start"), &json!({}));
    let exec = post(
        format!("/containers/{id}/exec"),
        &json!({"Cmd": ["true"], "AttachStdout": true}),
    );
    let exec_id = exec["Id"]
        .as_str()
        .unwrap_or_else(|| panic!("{exec}"))
        .to_owned();
    found.insert("POST /containers/ID/exec".into(), http::shape(&exec));
    for (name, path) in [
        ("GET /containers/ID/json", format!("/containers/{id}/json")),
        ("GET /containers/json", "/containers/json?all=1".into()),
        (
            "GET /containers/json size",
            "/containers/json?all=1&size=1".into(),
        ),
        ("GET /exec/ID/json", format!("/exec/{exec_id}/json")),
        ("GET /images/json", "/images/json".into()),
        ("GET /images/NAME/json", "/images/busybox/json".into()),
        ("GET /info", "/info".into()),
        ("GET /version", "/version".into()),
        (
            "GET /containers/NONE/json",
            "/containers/nosuch/json".into(),
        ),
    ] {
        found.insert(name.into(), get(path));
    }
    post(format!("/containers/{id}/kill"), &json!({}));
    found.insert(
        "POST /containers/ID/wait".into(),
        http::shape(&post(format!("/containers/{id}/wait"), &json!({}))),
    );
    found.insert(
        "GET /containers/ID/json exited".into(),
        get(format!("/containers/{id}/json")),
    );
    Value::Object(found)
}

/// Adds every key that only one has, and every value of another type.
fn compare(
    request: &str,
    path: &str,
    expected: &Value,
    found: &Value,
    differences: &mut Vec<String>,
) {
    if excepted(request, path) {
        return;
    }
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (key, value) in expected {
                let inner = format!("{path}.{key}");
                match found.get(key) {
                    Some(found) => compare(request, &inner, value, found, differences),
                    None if excepted(request, &inner) => {}
                    None => differences.push(format!("{request}: {inner} is missing")),
                }
            }
            for key in found.keys().filter(|key| !expected.contains_key(*key)) {
                let inner = format!("{path}.{key}");
                if !excepted(request, &inner) {
                    differences.push(format!("{request}: {inner} is not dockerd's"));
                }
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            if let (Some(expected), Some(found)) = (expected.first(), found.first()) {
                compare(request, &format!("{path}[]"), expected, found, differences);
            }
        }
        // An empty list has no first element to compare.
        (Value::Array(_), Value::String(empty)) | (Value::String(empty), Value::Array(_))
            if empty == "array" => {}
        _ if expected == found => {}
        _ => differences.push(format!(
            "{request}: {path} is {found}, dockerd's {expected}"
        )),
    }
}

fn excepted(request: &str, path: &str) -> bool {
    let of_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    EXCEPTIONS
        .lines()
        .chain(EXCEPTIONS_V2.lines().filter(|_| of_v2))
        .filter(|line| !line.starts_with('#'))
        .any(|line| {
            let mut words = line.split('\t');
            let (Some(of), Some(key)) = (words.next(), words.next()) else {
                return false;
            };
            (of == "*" || request == of) && path == key
        })
}

/// Once in the log of each daemon, and in every answer of `info`.
#[test]
fn what_the_host_cannot_do_is_told() {
    const CAP_SYS_RESOURCE: u64 = 1 << 24;
    let context = Context::new();
    let status = std::fs::read_to_string("/proc/self/status").expect("own status");
    let capable = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & CAP_SYS_RESOURCE != 0);
    let told = usize::from(!capable);
    let answer = context.request("GET", "/info", None).expect("an answer");
    let warnings = answer.json()["Warnings"].to_string();
    assert_eq!(
        warnings.matches("WARNING: No CAP_SYS_RESOURCE").count(),
        told,
        "{warnings}"
    );
    let log = context.daemon_log();
    assert_eq!(log.matches("No CAP_SYS_RESOURCE").count(), told, "{log}");
}

/// Docker's client sends the head of a push and its body apart; nobody needs the body.
#[test]
fn a_body_that_comes_after_the_answer_is_taken() {
    use std::io::{Read as _, Write as _};
    let context = Context::new();
    let mut connection =
        std::os::unix::net::UnixStream::connect(context.socket()).expect("connect");
    let mut exchange = |request: &[u8]| {
        connection.write_all(request).expect("send");
        let mut answer = [0; 4096];
        let length = connection.read(&mut answer).expect("receive");
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    for _ in 0..20 {
        let answer = exchange(b"POST /nosuch HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer:?}");
        let answer = exchange(b"{}\nGET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }
}

#[test]
fn a_platform_that_cannot_be_read_is_refused() {
    let context = Context::busybox();
    for (method, path) in [
        ("GET", "/images/busybox/json?platform"),
        ("GET", "/images/busybox/history?platform"),
        ("GET", "/images/busybox/get?platform"),
        ("POST", "/images/load?platform"),
        ("DELETE", "/images/busybox?platforms"),
    ] {
        let answer = context
            .request(method, &format!("{path}=linux%2Farm64"), None)
            .expect("an answer");
        assert_eq!(answer.status, 400, "{path}");
        let message = answer.json()["message"].to_string();
        assert!(message.contains("failed to parse platform"), "{message}");
    }
    // Before there was such a parameter, it meant nothing.
    let path = "/v1.48/images/busybox/json?platform=linux%2Farm64";
    let answer = context.request("GET", path, None).expect("an answer");
    assert_eq!(answer.status, 200);
}
