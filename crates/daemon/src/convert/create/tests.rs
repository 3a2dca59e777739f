//! Requests as clients send them, and Docker's texts for those that are wrong.

use api::version::{ApiVersion, MAXIMUM};
use engine::container::spec::{CgroupNamespace, NetworkMode, Spec};
use serde_json::{Value, json};

use super::request;

fn convert(body: &Value) -> Result<Spec, String> {
    request("", body.to_string().as_bytes(), MAXIMUM, None)
        .map(|converted| converted.request.spec)
        .map_err(|error| format!("{} {error}", error.status().as_u16()))
}

fn host(field: &str, value: Value) -> Result<Spec, String> {
    convert(&json!({ "Image": "busybox", "HostConfig": { field: value } }))
}

#[test]
fn a_plain_request_is_converted_and_kept_as_it_came() {
    let body = json!({ "image": "busybox", "Cmd": ["sh"], "Tty": true, "Env": ["A=b", "C"],
        "HostConfig": { "NetworkMode": "none", "AutoRemove": true, "ConsoleSize": [24, 80], "CgroupnsMode": "host",
            "PidMode": "host", "Init": true, "PidsLimit": -1, "ShmSize": 1_048_576 } });
    let converted = request("web", body.to_string().as_bytes(), MAXIMUM, None)
        .unwrap()
        .request;
    let spec = &converted.spec;
    assert_eq!(converted.name.as_deref(), Some("web"));
    assert_eq!(
        (spec.image.as_str(), &spec.network, spec.console_size),
        ("busybox", &NetworkMode::None, Some((24, 80)))
    );
    assert!(spec.tty && spec.auto_remove && spec.host_pid && spec.init);
    assert_eq!(
        (spec.cgroup_namespace, spec.shm_size),
        (Some(CgroupNamespace::Host), Some(1 << 20))
    );
    assert_eq!(spec.resources.pids_limit, None);
    assert_eq!(converted.request["HostConfig"]["NetworkMode"], "none");
    assert_eq!(converted.request["Cmd"], json!(["sh"]));
}

#[test]
fn wrong_values_are_told_in_dockers_words() {
    let check = |field: &str, value: Value, text: &str| {
        assert_eq!(host(field, value).unwrap_err(), text, "{field}");
    };
    check(
        "OomScoreAdj",
        json!(1001),
        "400 Invalid value 1001, range for oom score adj is [-1000, 1000]",
    );
    check("ShmSize", json!(-1), "400 SHM size can not be less than 0");
    check("PidMode", json!("x"), "400 invalid PID mode: x");
    check("IpcMode", json!("x"), "400 invalid IPC mode: x");
    check("UTSMode", json!("x"), "400 invalid UTS mode: x");
    check(
        "CgroupnsMode",
        json!("x"),
        "400 invalid cgroup namespace mode: x",
    );
    check(
        "Isolation",
        json!("hyperv"),
        "400 invalid isolation 'hyperv' on linux",
    );
    check(
        "Runtime",
        json!("x"),
        "400 unknown or invalid runtime name: x",
    );
    check(
        "ExtraHosts",
        json!(["x"]),
        "400 bad format for add-host: \"x\"",
    );
    check(
        "ExtraHosts",
        json!(["x:y"]),
        "400 invalid IP address in add-host: \"y\"",
    );
    check(
        "RestartPolicy",
        json!({ "Name": "always" }),
        "501 HostConfig.RestartPolicy always is not implemented",
    );
    check(
        "RestartPolicy",
        json!({ "Name": "x" }),
        "400 invalid restart policy: unknown policy 'x'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
    );
    check(
        "PidMode",
        json!("container:x"),
        "501 HostConfig.PidMode container:x is not implemented",
    );
    check(
        "IpcMode",
        json!("none"),
        "501 HostConfig.IpcMode none is not implemented",
    );
}

#[test]
fn wrong_configuration_is_told_in_dockers_words() {
    let check = |body: Value, text: &str| assert_eq!(convert(&body).unwrap_err(), text);
    check(
        json!({}),
        "400 config cannot be empty in order to create a container",
    );
    check(
        json!({ "WorkingDir": "x" }),
        "400 the working directory 'x' is invalid, it needs to be an absolute path",
    );
    check(
        json!({ "Env": ["=x"] }),
        "400 invalid environment variable: =x",
    );
    check(json!({ "StopSignal": "x" }), "400 invalid signal: x");
    check(
        json!({ "Healthcheck": { "Test": ["CMD", "x"] } }),
        "501 Healthcheck is not implemented",
    );
    assert!(convert(&json!({ "Image": "x", "Healthcheck": { "Test": ["NONE"] } })).is_ok());
    check(
        json!({ "Hostname": "h", "HostConfig": { "UTSMode": "host" } }),
        "400 conflicting options: hostname and the UTS mode",
    );
    check(
        json!({ "HostConfig": { "AutoRemove": true, "RestartPolicy": { "Name": "always" } } }),
        "400 can't create 'AutoRemove' container with restart policy",
    );
    let named = request("a b", br#"{"Image":"x"}"#, MAXIMUM, None)
        .unwrap_err()
        .to_string();
    assert_eq!(
        named,
        "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    );
}

#[test]
fn older_clients_send_what_no_longer_means_anything() {
    let body = br#"{"Image":"x","HostConfig":{"KernelMemory":4096,"MemorySwappiness":-1,"Annotations":{"a":"b"}}}"#;
    assert!(request("", body, ApiVersion::new(1, 41), None).is_ok());
    assert!(request("", body, MAXIMUM, None).is_err());
}

#[test]
fn host_gateway_is_the_bridges_address() {
    let body = br#"{"Image":"x","HostConfig":{"ExtraHosts":["h:host-gateway","v6:::1"]}}"#;
    let gateway = Some(std::net::Ipv4Addr::new(172, 17, 0, 1));
    let spec = request("", body, MAXIMUM, gateway).unwrap().request.spec;
    assert_eq!(spec.extra_hosts, ["h:172.17.0.1", "v6:::1"]);
    assert!(request("", body, MAXIMUM, None).is_err());
}
