//! Go's decoder, as clients rely on it.

use super::create_request;
use crate::config::Config;

#[test]
fn names_match_in_any_case_at_every_level() {
    let body = br#"{"image":"busybox","CMD":["a"],"hostconfig":{"memory":5,"networkMODE":"none","RestartPolicy":{"name":"no"},
        "mounts":[{"type":"bind","TARGET":"/x"}]},"NetworkingConfig":{"endpointsconfig":{"MyNet":{"ipamconfig":{"ipv4address":"1.2.3.4"}}}}}"#;
    let request = create_request(body).expect("valid");
    let host = request.host_config.expect("present");
    assert_eq!(
        (
            request.config.image.as_str(),
            host.memory,
            host.network_mode.as_str()
        ),
        ("busybox", 5, "none")
    );
    assert_eq!(host.restart_policy.name, "no");
    assert_eq!(host.mounts.expect("present")[0].target, "/x");
    let endpoints = request
        .networking_config
        .expect("present")
        .endpoints_config
        .expect("present");
    let endpoint = endpoints["MyNet"].clone().expect("present");
    assert_eq!(
        endpoint.ipam_config.expect("present").ipv4_address,
        "1.2.3.4"
    );
}

#[test]
fn null_is_the_zero_value_and_unknown_names_are_ignored() {
    let body = br#"{"Image":null,"Tty":null,"Cmd":null,"Wings":3,"HostConfig":{"Memory":null,"Init":null,"LogConfig":null}}"#;
    let request = create_request(body).expect("valid");
    assert_eq!(request.config, Config::default());
}

#[test]
fn command_may_be_one_string() {
    let request = create_request(br#"{"Cmd":"sh","Entrypoint":["a","b"]}"#).expect("valid");
    assert_eq!(request.config.cmd, Some(vec!["sh".to_owned()]));
    assert_eq!(
        request.config.entrypoint,
        Some(vec!["a".to_owned(), "b".to_owned()])
    );
}

#[test]
fn wrong_types_are_errors() {
    for body in [
        &br#"{"Tty":"yes"}"#[..],
        br#"{"HostConfig":[]}"#,
        br#"{"HostConfig":{"Memory":"1"}}"#,
        b"[]",
        b"{",
    ] {
        assert!(
            create_request(body).is_err(),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
}

#[test]
fn default_config_is_written_as_go_writes_it() {
    let text = serde_json::to_string(&Config::default()).expect("serializes");
    assert_eq!(
        text,
        r#"{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}"#
    );
}
