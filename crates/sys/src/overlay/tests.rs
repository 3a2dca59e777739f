//! Needs root, as mounting does.
#![allow(clippy::disallowed_methods, reason = "tests make files by hand")]

use super::*;
use crate::root::{Dir, OpenFlags, RootDir};
use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn layers_are_merged_and_writes_go_to_the_upper_one() {
    if !root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    for name in ["one", "two", "fs", "work"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("one").join("a"), "one").unwrap();
    fs::write(at("two").join("a"), "two").unwrap();
    fs::write(at("one").join("b"), "b").unwrap();
    for volatile in [false, true] {
        let fd = mount(
            &[&at("two"), &at("one")],
            Some((&at("fs"), &at("work"))),
            volatile,
        )
        .unwrap();
        let view = RootDir::from_fd(fd);
        assert_eq!(view.read_small(Path::new("/a"), 10).unwrap(), b"two");
        assert_eq!(view.read_small(Path::new("/b"), 10).unwrap(), b"b");
        let dir = view.dir().unwrap();
        drop(dir.create_file(OsStr::new("c"), 0o644).unwrap());
        assert!(at("fs").join("c").exists());
        dir.remove_file(OsStr::new("c")).unwrap();
    }
}

#[test]
fn a_mount_without_upper_layer_is_read_only() {
    if !root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    for name in ["one", "two"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("one").join("a"), "one").unwrap();
    let view = RootDir::from_fd(mount(&[&at("two"), &at("one")], None, false).unwrap());
    let error = view
        .dir()
        .unwrap()
        .create_file(OsStr::new("x"), 0o644)
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem);
    let fd = view.open(Path::new("a"), OpenFlags::RDONLY, 0).unwrap();
    let mut text = String::new();
    fs::File::from(fd).read_to_string(&mut text).unwrap();
    assert_eq!(text, "one");
    drop(Dir::from_fd(view.into_fd()));
}

#[test]
fn long_paths_and_many_layers_work() {
    if !root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let long = scratch.path().join("n".repeat(200)).join("m".repeat(200));
    let layers: Vec<PathBuf> = (0..MAX_LAYERS).map(|n| long.join(n.to_string())).collect();
    for layer in &layers {
        fs::create_dir_all(layer).unwrap();
    }
    fs::write(layers[MAX_LAYERS - 1].join("deep"), "x").unwrap();
    let paths: Vec<&Path> = layers.iter().map(PathBuf::as_path).collect();
    for mounted in [
        mount(&paths, None, false),
        // Of kernels that do not take them one by one.
        joined::mount_by_options(&paths, None, false),
    ] {
        let view = RootDir::from_fd(mounted.unwrap());
        assert_eq!(view.read_small(Path::new("deep"), 1).unwrap(), b"x");
    }
    assert!(mount(&[], None, false).is_err());
}

#[test]
fn joined_layers_make_the_same_mount_by_either_call() {
    if !root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..40).map(|number| format!("a,layer:{number}")).collect();
    for name in names.iter().map(String::as_str).chain(["fs", "work"]) {
        fs::create_dir(scratch.path().join(name)).unwrap();
        fs::write(scratch.path().join(name).join(name), name).unwrap();
    }
    let paths: Vec<PathBuf> = names.iter().map(|name| scratch.path().join(name)).collect();
    let layers: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let (upper, work) = (scratch.path().join("fs"), scratch.path().join("work"));
    let holds = |fd, names: &[String]| {
        let view = RootDir::from_fd(fd);
        for name in names {
            let path = Path::new("/").join(name);
            assert_eq!(view.read_small(&path, 100).unwrap(), name.as_bytes());
        }
        drop(
            view.dir()
                .unwrap()
                .create_file(OsStr::new("c"), 0o644)
                .unwrap(),
        );
        view.dir().unwrap().remove_file(OsStr::new("c")).unwrap();
    };
    let all = joined::Joined::new(&layers).unwrap();
    assert!(!all.is_short());
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let fd = joined::mount_by_options(&layers, Some((&upper, &work)), false).unwrap();
    assert_eq!(before, fs::read_to_string("/proc/self/mountinfo").unwrap());
    holds(fd, &names);
    let few = joined::Joined::new(&layers[..8]).unwrap();
    assert!(few.is_short());
    let fd = mount_layers(&layers[..8], Some(&few), Some((&upper, &work)), true).unwrap();
    holds(fd, &names[..8]);
}
