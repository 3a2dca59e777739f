//! Lookups stay inside the root.
#![allow(clippy::disallowed_methods, reason = "tests make files by hand")]

use super::*;
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn absolute_links_and_dotdot_stay_inside() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/hostname"), "inside").unwrap();
    fs::write(scratch.path().join("hostname"), "outside").unwrap();
    symlink("/etc", root.join("absolute")).unwrap();
    symlink("../../..", root.join("etc/up")).unwrap();
    let view = RootDir::open_path(&root).unwrap();
    for path in [
        "/etc/hostname",
        "absolute/hostname",
        "../etc/hostname",
        "etc/up/etc/hostname",
        "/../../etc/hostname",
    ] {
        assert_eq!(
            view.read_small(Path::new(path), 100).unwrap(),
            b"inside",
            "{path}"
        );
    }
    assert!(view.read_small(Path::new("../hostname"), 100).is_err());
}

#[test]
fn small_reads_are_bounded_and_only_of_regular_files() {
    let scratch = tempfile::tempdir().unwrap();
    let view = RootDir::open_path(scratch.path()).unwrap();
    fs::write(scratch.path().join("big"), vec![0; 101]).unwrap();
    view.dir()
        .unwrap()
        .create_node(OsStr::new("pipe"), FileKind::Fifo, 0o600)
        .unwrap();
    assert_eq!(
        view.read_small(Path::new("big"), 100).unwrap_err().kind(),
        io::ErrorKind::FileTooLarge
    );
    assert_eq!(view.read_small(Path::new("big"), 101).unwrap().len(), 101);
    assert_eq!(
        view.read_small(Path::new("pipe"), 100).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    assert_eq!(
        view.read_small(Path::new("none"), 100).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[test]
fn directories_are_made_through_links_inside_only() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("root");
    fs::create_dir(&root).unwrap();
    symlink("../../real", root.join("link")).unwrap();
    fs::create_dir(root.join("real")).unwrap();
    let view = RootDir::open_path(&root).unwrap();
    view.create_dir_all(Path::new("/link/a/b"), 0o755).unwrap();
    view.create_dir_all(Path::new("link/a/b"), 0o755).unwrap();
    assert!(root.join("real/a/b").is_dir());
    assert!(!scratch.path().join("real").exists());
}

#[test]
fn names_are_single_and_links_are_removed_not_followed() {
    let scratch = tempfile::tempdir().unwrap();
    let outside = scratch.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), "x").unwrap();
    let root = scratch.path().join("root");
    fs::create_dir_all(root.join("tree/below")).unwrap();
    symlink(&outside, root.join("tree/below/link")).unwrap();
    let dir = RootDir::open_path(&root).unwrap().dir().unwrap();
    for name in ["", ".", "..", "a/b", "/"] {
        assert!(dir.create_dir(OsStr::new(name), 0o755).is_err(), "{name}");
        assert!(dir.remove_all(OsStr::new(name)).is_err(), "{name}");
    }
    dir.remove_all(OsStr::new("tree")).unwrap();
    dir.remove_all(OsStr::new("tree")).unwrap();
    assert!(!root.join("tree").exists());
    assert!(outside.join("kept").exists());
}

#[test]
fn modes_and_times_of_nodes_are_set_without_following() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = RootDir::open_path(scratch.path()).unwrap().dir().unwrap();
    fs::write(scratch.path().join("target"), "").unwrap();
    dir.create_symlink(OsStr::new("link"), OsStr::new("target"))
        .unwrap();
    let time = Timestamp {
        seconds: 1_000_000,
        nanoseconds: 5,
    };
    dir.set_modified(OsStr::new("link"), time).unwrap();
    assert_eq!(dir.stat(OsStr::new("link")).unwrap().modified, time);
    assert_ne!(dir.stat(OsStr::new("target")).unwrap().modified, time);
    assert!(dir.set_mode(OsStr::new("link"), 0o777).is_err());
    dir.set_mode(OsStr::new("target"), 0o4711).unwrap();
    assert_eq!(dir.stat(OsStr::new("target")).unwrap().mode, 0o4711);
    assert_eq!(
        dir.read_link(OsStr::new("link")).unwrap(),
        Path::new("target")
    );
}

#[test]
fn trees_of_any_depth_and_width_are_removed() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = RootDir::open_path(scratch.path()).unwrap().dir().unwrap();
    let name = OsStr::new("d");
    dir.create_dir(name, 0o755).unwrap();
    let mut deepest = dir.open_dir(name).unwrap();
    for count in 0..1500 {
        drop(deepest.create_file(OsStr::new("file"), 0o600).unwrap());
        if count % 2 == 0 {
            deepest.create_dir(OsStr::new("moved-1"), 0o700).unwrap();
        }
        deepest.create_dir(name, 0o000).unwrap();
        deepest = deepest.open_dir(name).unwrap();
    }
    for count in 0..4200 {
        deepest
            .create_symlink(OsStr::new(&count.to_string()), OsStr::new("/"))
            .unwrap();
    }
    drop(deepest);
    dir.remove_tree(name).unwrap();
    dir.remove_tree(name).unwrap();
    assert_eq!(dir.entries().unwrap(), []);
}
