//! Binds and mounts as the command line writes them.

use api::host_config::HostConfig;
use api::version::{ApiVersion, MAXIMUM};
use engine::container::spec::{Mount, Propagation};
use serde_json::{Value, json};

use super::convert;

fn mounts(host: &Value) -> Result<Vec<Mount>, String> {
    mounts_of(host, MAXIMUM)
}

fn mounts_of(host: &Value, version: ApiVersion) -> Result<Vec<Mount>, String> {
    let host: HostConfig = api::fold::from_value(host.clone()).unwrap();
    convert(&host, version).map_err(|error| format!("{} {error}", error.status().as_u16()))
}

fn bind(text: &str) -> Result<Mount, String> {
    mounts(&json!({ "Binds": [text] })).map(|mut mounts| mounts.remove(0))
}

#[test]
fn binds_are_taken_apart() {
    let expected = |read_only, propagation| Mount::Bind {
        source: "/a".into(),
        target: "/b".into(),
        read_only,
        recursive_read_only: read_only,
        create_source: true,
        non_recursive: false,
        propagation,
    };
    assert_eq!(bind("/a:/b"), Ok(expected(false, Propagation::RPrivate)));
    assert_eq!(
        bind("/a/:/x/../b/"),
        Ok(expected(false, Propagation::RPrivate))
    );
    assert_eq!(
        bind("/a:/b:ro,z,rshared"),
        Ok(expected(true, Propagation::RShared))
    );
}

#[test]
fn read_only_is_recursive_unless_the_client_is_old_or_wants_it_otherwise() {
    let recursive = |host: &Value, minor| {
        let mounts = mounts_of(host, ApiVersion::new(1, minor))?;
        let [
            Mount::Bind {
                read_only: true,
                recursive_read_only,
                ..
            },
        ] = mounts[..]
        else {
            return Err(format!("{mounts:?}"));
        };
        Ok(recursive_read_only)
    };
    let mount = |options: Value| {
        json!({ "Mounts": [{
            "Type": "bind", "Source": "/", "Target": "/b", "ReadOnly": true, "BindOptions": options
        }] })
    };
    let bind = json!({ "Binds": ["/a:/b:ro"] });
    for (host, minor, expect) in [
        (&bind, 44, true),
        (&bind, 43, false),
        (&mount(Value::Null), 44, true),
        (&mount(Value::Null), 43, false),
        (&mount(json!({ "ReadOnlyForceRecursive": true })), 44, true),
        (&mount(json!({ "ReadOnlyNonRecursive": true })), 44, false),
    ] {
        assert_eq!(recursive(host, minor), Ok(expect), "{minor} {host}");
    }
    let both = json!({ "ReadOnlyNonRecursive": true, "ReadOnlyForceRecursive": true });
    assert_eq!(
        recursive(&mount(both), 44).unwrap_err(),
        "400 invalid mount config for type \"bind\": mount options conflict: ReadOnlyNonRecursive && \
         BindOptions.ReadOnlyForceRecursive"
    );
}

#[test]
fn wrong_binds_are_told_in_dockers_words() {
    let check = |text: &str, why: &str| assert_eq!(bind(text).unwrap_err(), why, "{text}");
    check("/a:/b:x", "400 invalid mode: x");
    check("/a:/b:ro,rw", "400 invalid mode: ro,rw");
    check(
        "/a:/b:ro:x",
        "400 invalid volume specification: '/a:/b:ro:x'",
    );
    check(":/b", "400 invalid volume specification: ':/b'");
    check(
        "/a:/",
        "400 invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification: destination \
         can't be '/'",
    );
    check(
        "/a:b",
        "400 invalid volume specification: '/a:b': invalid mount config for type \"bind\": invalid mount path: 'b' mount path \
         must be absolute",
    );
    check("data:/b", "501 named volume data is not implemented");
    check("/b", "501 anonymous volume /b is not implemented");
    assert!(
        bind("./a:/b")
            .unwrap_err()
            .contains("includes invalid characters for a local volume name")
    );
}

#[test]
fn mounts_are_checked() {
    let one = |mount: Value| mounts(&json!({ "Mounts": [mount] }));
    assert_eq!(
        one(
            json!({ "Type": "tmpfs", "Target": "/t", "TmpfsOptions": { "SizeBytes": 5, "Mode": 0o700 } })
        ),
        Ok(vec![Mount::Tmpfs {
            target: "/t".into(),
            options: vec!["mode=700".into(), "size=5".into()]
        }])
    );
    let check = |mount: Value, why: &str| assert_eq!(one(mount).unwrap_err(), why);
    check(
        json!({ "Type": "bind", "Source": "/no/such/place", "Target": "/t" }),
        "400 invalid mount config for type \"bind\": bind source path does not exist: /no/such/place",
    );
    check(
        json!({ "Type": "bind", "Target": "/t" }),
        "400 invalid mount config for type \"bind\": field Source must not be empty",
    );
    check(
        json!({ "Type": "bind", "Source": "/" }),
        "400 invalid mount config for type \"bind\": field Target must not be empty",
    );
    check(
        json!({ "Type": "x", "Target": "/t" }),
        "400 invalid mount config for type \"x\": mount type unknown",
    );
    check(
        json!({ "Type": "volume", "Target": "/t" }),
        "501 mount type volume is not implemented",
    );
}

#[test]
fn one_place_takes_one_mount() {
    let twice = mounts(&json!({ "Binds": ["/a:/b"], "Tmpfs": { "/b": "" } }));
    assert_eq!(twice.unwrap_err(), "400 Duplicate mount point: /b");
    let tmpfs = mounts(&json!({ "Tmpfs": { "/t": "size=1m,ro,exec" } })).unwrap();
    assert_eq!(
        tmpfs,
        [Mount::Tmpfs {
            target: "/t".into(),
            options: vec!["size=1m".into(), "ro".into(), "exec".into()]
        }]
    );
    assert!(
        mounts(&json!({ "Tmpfs": { "/t": "wings=2" } }))
            .unwrap_err()
            .contains("invalid tmpfs option \"wings=2\"")
    );
}
