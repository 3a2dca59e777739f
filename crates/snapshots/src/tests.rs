//! Trees live and die.
#![allow(clippy::disallowed_methods, reason = "tests make files by hand")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::*;

fn entries(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root.join("snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".empty")
        .collect();
    names.sort();
    names
}

#[test]
fn trees_are_prepared_committed_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(root.path()).unwrap();
    snapshots.prepare("extract-1", None).unwrap();
    fs::write(root.path().join("snapshots/extract-1/fs/file"), "12345").unwrap();
    assert_eq!(snapshots.usage("extract-1").unwrap(), 5);
    assert!(matches!(
        snapshots.prepare("extract-1", None),
        Err(Error::Exists(_))
    ));
    assert!(matches!(
        snapshots.prepare("box", Some("extract-1")),
        Err(Error::State { .. })
    ));
    snapshots.commit("extract-1", "sha256:aa", 7).unwrap();
    assert!(matches!(
        snapshots.commit("sha256:aa", "sha256:bb", 0),
        Err(Error::State { .. })
    ));
    snapshots.prepare("box", Some("sha256:aa")).unwrap();
    assert_eq!(snapshots.keys().unwrap(), ["box", "sha256:aa"]);
    assert_eq!(snapshots.committed(), ["sha256:aa"]);
    let again = Snapshots::open(root.path()).unwrap();
    assert_eq!(again.keys().unwrap(), ["box", "sha256:aa"]);
    assert_eq!(again.parent("box").unwrap().as_deref(), Some("sha256:aa"));
    assert_eq!(again.usage("sha256:aa").unwrap(), 7);
    assert!(matches!(
        again.remove("sha256:aa"),
        Err(Error::InUse { .. })
    ));
    again.remove("box").unwrap();
    again.remove("box").unwrap();
    again.remove("sha256:aa").unwrap();
    assert_eq!(entries(root.path()).len(), 2);
    again.reap().unwrap();
    assert_eq!(entries(root.path()).len(), 0);
}

#[test]
fn what_a_crash_left_is_removed_and_what_is_damaged_is_put_aside() {
    let root = tempfile::tempdir().unwrap();
    drop(Snapshots::open(root.path()).unwrap());
    let dir = root.path().join("snapshots");
    fs::create_dir_all(dir.join("unfinished/work")).unwrap();
    fs::create_dir_all(dir.join("renamed/fs")).unwrap();
    fs::write(
        dir.join("renamed/record.json"),
        r#"{"schema":1,"key":"sha256:aa","parent":null,"size":1}"#,
    )
    .unwrap();
    fs::create_dir_all(dir.join("sha256@bb/fs")).unwrap();
    fs::write(dir.join("sha256@bb/record.json"), "{").unwrap();
    fs::create_dir_all(dir.join("sha256@cc")).unwrap();
    fs::write(
        dir.join("sha256@cc/record.json"),
        r#"{"schema":1,"key":"sha256:cc","parent":null,"size":1}"#,
    )
    .unwrap();
    fs::create_dir_all(dir.join("linked/fs")).unwrap();
    fs::create_dir_all(dir.join("linked/work")).unwrap();
    symlink("/etc/..", dir.join("linked/parent")).unwrap();
    let snapshots = Snapshots::open(root.path()).unwrap();
    assert_eq!(snapshots.keys().unwrap(), [""; 0]);
    assert_eq!(snapshots.quarantined().len(), 3);
    assert_eq!(entries(root.path()).len(), 0);
    assert_eq!(
        fs::read_dir(root.path().join("quarantine"))
            .unwrap()
            .count(),
        3
    );
}

#[test]
fn nothing_but_plain_keys_reaches_a_path() {
    let root = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(root.path()).unwrap();
    for key in [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        ".empty",
        "a@b",
        "removed-1",
        "a\0",
        "\u{e4}",
        &"x".repeat(129),
    ] {
        assert!(
            matches!(snapshots.prepare(key, None), Err(Error::Key(_))),
            "{key:?}"
        );
        assert!(
            matches!(snapshots.remove(key), Err(Error::Key(_))),
            "{key:?}"
        );
    }
    assert_eq!(entries(root.path()).len(), 0);
}

#[test]
fn trees_are_closed_to_others_and_their_roots_are_as_below() {
    let root = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(root.path()).unwrap();
    snapshots.prepare("x", None).unwrap();
    let mode = |path: &str| {
        fs::metadata(root.path().join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    fs::set_permissions(
        root.path().join("snapshots/x/fs"),
        fs::Permissions::from_mode(0o1771),
    )
    .unwrap();
    snapshots.commit("x", "sha256:aa", 0).unwrap();
    snapshots.prepare("y", Some("sha256:aa")).unwrap();
    assert_eq!(mode("snapshots"), 0o700);
    for dir in ["snapshots/y", "snapshots/y/work", "snapshots/sha256@aa"] {
        assert_eq!(mode(dir), 0o700, "{dir}");
    }
    assert_eq!(mode("snapshots/y/fs"), 0o1771);
}

#[test]
fn a_tree_that_is_not_on_the_medium_carries_others_and_goes_with_a_crash() {
    let root = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::open(root.path()).unwrap();
    let names = ["sha256:aa", "sha256:bb", "sha256:cc"];
    let mut parent = None;
    for (number, name) in names.into_iter().enumerate() {
        let key = format!("extract-{number}");
        snapshots.prepare(&key, parent).unwrap();
        snapshots.place(&key, name, 7).unwrap();
        parent = Some(name);
    }
    assert_eq!(snapshots.committed(), names);
    assert_eq!(snapshots.check().unwrap(), []);
    snapshots.persist(&names[..2]).unwrap();
    snapshots.persist(&names[..2]).unwrap();
    assert_eq!(snapshots.check().unwrap(), []);
    let again = Snapshots::open(root.path()).unwrap();
    assert_eq!(again.committed(), names[..2]);
    assert_eq!(again.parent(names[1]).unwrap().as_deref(), Some(names[0]));
    assert_eq!(entries(root.path()), ["sha256@aa", "sha256@bb"]);
}
