//! Records survive, damaged ones step aside.
#![allow(clippy::disallowed_methods, reason = "tests make files by hand")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Thing {
    name: String,
}

impl Record for Thing {
    const SCHEMA: u32 = 2;
}

fn thing(name: &str) -> Thing {
    Thing {
        name: name.to_owned(),
    }
}

#[test]
fn records_are_written_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    for durable in [true, false] {
        save(&path, &thing("x"), durable).unwrap();
        assert_eq!(load::<Thing>(&path).unwrap(), thing("x"));
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        r#"{"schema":2,"name":"x"}"#
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn the_schema_before_is_read_and_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    for (schema, readable) in [(1, true), (2, true), (3, false), (0, false)] {
        fs::write(&path, format!(r#"{{"schema":{schema},"name":"x"}}"#)).unwrap();
        assert_eq!(load::<Thing>(&path).is_ok(), readable, "{schema}");
    }
}

#[test]
fn damaged_records_go_to_quarantine_and_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (records, aside) = (dir.path().join("things"), dir.path().join("quarantine"));
    create_dir(&records).unwrap();
    save(&records.join("good.json"), &thing("good"), false).unwrap();
    fs::write(records.join("cut.json"), r#"{"schema":2,"na"#).unwrap();
    fs::write(records.join("empty.json"), "").unwrap();
    fs::write(records.join(".tmp-1-1"), "").unwrap();
    fs::write(records.join("other"), "").unwrap();
    let loaded = load_all::<Thing>(&records, None, &aside).unwrap();
    assert_eq!(loaded.records.len(), 1);
    assert_eq!(loaded.quarantined.len(), 2);
    assert!(
        loaded
            .quarantined
            .iter()
            .all(|(path, _)| path.starts_with(&aside) && path.exists())
    );
    assert_eq!(fs::read_dir(&records).unwrap().count(), 2);
    assert_eq!(
        fs::metadata(&aside).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn records_in_directories_are_found_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (records, aside) = (dir.path().join("things"), dir.path().join("quarantine"));
    for name in ["a", "b", "no-record"] {
        create_dir_all(&records.join(name)).unwrap();
    }
    save(&records.join("a/record.json"), &thing("a"), false).unwrap();
    fs::write(records.join("b/record.json"), "{}").unwrap();
    let loaded = load_all::<Thing>(&records, Some("record.json"), &aside).unwrap();
    assert_eq!(loaded.records.len(), 1);
    assert_eq!(loaded.quarantined[0].0, aside.join("things-b"));
    assert!(records.join("no-record").exists());
}

#[test]
fn the_lock_is_exclusive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let held = Lock::acquire(&path).unwrap();
    assert!(matches!(Lock::acquire(&path), Err(Error::Locked { .. })));
    drop(held);
    Lock::acquire(&path).unwrap();
}

#[test]
fn a_layout_of_a_later_release_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(check_format(dir.path()).unwrap(), LAYOUT_VERSION);
    assert_eq!(check_format(dir.path()).unwrap(), LAYOUT_VERSION);
    fs::write(dir.path().join("format"), "2\n").unwrap();
    assert!(matches!(
        check_format(dir.path()),
        Err(Error::TooNew { found: 2, .. })
    ));
    fs::write(dir.path().join("format"), "x").unwrap();
    assert!(matches!(
        check_format(dir.path()),
        Err(Error::Damaged { .. })
    ));
}

#[test]
fn a_failed_write_leaves_the_old_content_and_no_rest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("taken");
    fs::create_dir(&path).unwrap();
    assert!(write_atomic(&path, b"x", false).is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    remove_tree(&path).unwrap();
    remove_tree(&path).unwrap();
    assert!(!path.exists());
}
