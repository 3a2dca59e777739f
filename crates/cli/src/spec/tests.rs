//! Requests that flags make.

use super::*;
use crate::{flags, surface};

fn env() -> Env {
    Env {
        variables: [("HOSTVAR".to_owned(), "host".to_owned())].into(),
        directory: "/srv/dir".into(),
        ..Env::default()
    }
}

fn request(line: &str) -> Result<CreateRequest, String> {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let given =
        flags::parse(&surface::find("run").unwrap(), &words).map_err(|stop| format!("{stop:?}"))?;
    build(&env(), &given).map_err(|failure| failure.text)
}

fn json(line: &str) -> serde_json::Value {
    serde_json::to_value(request(line).unwrap()).unwrap()
}

/// Compares parts of a request, by JSON pointer.
fn check(line: &str, expect: &[(&str, serde_json::Value)]) {
    let request = json(line);
    for (pointer, value) in expect {
        assert_eq!(
            request.pointer(pointer).unwrap_or(&serde_json::Value::Null),
            value,
            "{line} {pointer}"
        );
    }
}

#[test]
fn flags_find_their_place() {
    use serde_json::json;
    check(
        "i",
        &[
            ("/Image", json!("i")),
            ("/Cmd", json!(null)),
            ("/HostConfig/NetworkMode", json!("default")),
        ],
    );
    check(
        "-it i sh -c x",
        &[
            ("/Cmd", json!(["sh", "-c", "x"])),
            ("/Tty", json!(true)),
            ("/StdinOnce", json!(true)),
        ],
    );
    check(
        "-a stderr i",
        &[
            ("/AttachStdout", json!(false)),
            ("/AttachStderr", json!(true)),
        ],
    );
    check(
        "-e A=1 -e HOSTVAR -e GONE i",
        &[("/Env", json!(["A=1", "HOSTVAR=host", "GONE"]))],
    );
    check("--entrypoint= i", &[("/Entrypoint", json!([""]))]);
    check("-l a=b -l c i", &[("/Labels", json!({"a": "b", "c": ""}))]);
    check(
        "-m 1g --memory-swap -1 i",
        &[
            ("/HostConfig/Memory", json!(1 << 30)),
            ("/HostConfig/MemorySwap", json!(-1)),
        ],
    );
    check(
        "--cpus 1.5 i",
        &[("/HostConfig/NanoCpus", json!(1_500_000_000))],
    );
    check("--pids-limit 10 i", &[("/HostConfig/PidsLimit", json!(10))]);
    check(
        "--ulimit nofile=1:2 i",
        &[(
            "/HostConfig/Ulimits",
            json!([{"Name": "nofile", "Soft": 1, "Hard": 2}]),
        )],
    );
    check(
        "-v /a:/b:ro -v ./c:/d -v /e i",
        &[
            ("/HostConfig/Binds", json!(["/a:/b:ro", "/srv/dir/c:/d"])),
            ("/Volumes", json!({"/e": {}})),
        ],
    );
    check(
        "--mount type=bind,src=./x,dst=/y,ro i",
        &[(
            "/HostConfig/Mounts",
            json!([{"Type": "bind", "Source": "/srv/dir/x", "Target": "/y", "ReadOnly": true}]),
        )],
    );
    check(
        "--mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700 i",
        &[(
            "/HostConfig/Mounts/0/TmpfsOptions",
            json!({"SizeBytes": 1 << 20, "Mode": 0o700}),
        )],
    );
    check(
        "--tmpfs /t:size=1m i",
        &[("/HostConfig/Tmpfs", json!({"/t": "size=1m"}))],
    );
    check(
        "--device /dev/null:/dev/x:r i",
        &[(
            "/HostConfig/Devices",
            json!([{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}]),
        )],
    );
    check(
        "--net none --add-host a=1.2.3.4 i",
        &[
            ("/HostConfig/NetworkMode", json!("none")),
            ("/HostConfig/ExtraHosts", json!(["a:1.2.3.4"])),
            ("/NetworkingConfig", json!(null)),
        ],
    );
    check(
        "--init --rm --read-only i",
        &[
            ("/HostConfig/Init", json!(true)),
            ("/HostConfig/AutoRemove", json!(true)),
            ("/HostConfig/ReadonlyRootfs", json!(true)),
        ],
    );
    check(
        "--security-opt systempaths=unconfined --security-opt no-new-privileges i",
        &[
            ("/HostConfig/SecurityOpt", json!(["no-new-privileges"])),
            ("/HostConfig/MaskedPaths", json!([])),
        ],
    );
    check(
        "--restart on-failure:3 i",
        &[("/HostConfig/RestartPolicy/MaximumRetryCount", json!(3))],
    );
    check(
        "-p 8080:80 -p 127.0.0.1::53/udp i",
        &[
            (
                "/HostConfig/PortBindings/80~1tcp",
                json!([{"HostIp": "", "HostPort": "8080"}]),
            ),
            (
                "/HostConfig/PortBindings/53~1udp",
                json!([{"HostIp": "127.0.0.1", "HostPort": ""}]),
            ),
            ("/ExposedPorts/80~1tcp", json!({})),
        ],
    );
    check(
        "--stop-timeout 0 --stop-signal INT i",
        &[("/StopTimeout", json!(0)), ("/StopSignal", json!("INT"))],
    );
}

#[test]
fn wrong_flags_are_refused_in_dockers_words() {
    for (line, expect) in [
        (
            "--restart on-failure:x i",
            "invalid restart policy format: maximum retry count must be an integer",
        ),
        ("--pid container: i", "--pid: invalid PID mode"),
        (
            "--log-driver none --log-opt a=b i",
            "invalid logging opts for driver none",
        ),
        ("--device /dev/a:b i", "b is not an absolute path"),
        (
            "--no-healthcheck --health-cmd x i",
            "--no-healthcheck conflicts with --health-* options",
        ),
        ("-p 99999 i", "invalid containerPort: 99999"),
    ] {
        assert_eq!(request(line).unwrap_err(), expect, "{line}");
    }
}
