//! Layers unpacked before those below them: the same trees as one after the other, or given up.

use std::time::{Duration, Instant};

use snapshots::Limits;
use tar::EntryType;

use crate::scene::{Layer, Scene};

fn base() -> Vec<u8> {
    Layer::new()
        .dir("./", 0o750)
        .dir("usr", 0o755)
        .dir("usr/lib", 0o2775)
        .file("usr/lib/kept", "kept")
        .file("usr/lib/gone", "gone")
        .symlink("lib", "usr/lib")
        .dir("opaque", 0o700)
        .file("opaque/old", "old")
        .dir("opaque/sub", 0o755)
        .file("opaque/sub/old", "old")
        .file("was-a-file", "x")
        .dir("was-a-dir", 0o755)
        .file("was-a-dir/file", "x")
        .file("linked", "original")
        .done()
}

/// Unpacks a layer alone and puts it upon `layer-0`; whether that was possible.
fn alone(scene: &Scene, layer: &[u8]) -> bool {
    let snapshots = &scene.snapshots;
    snapshots.prepare("extract", None).unwrap();
    let mut reader = layer;
    let applied = snapshots
        .apply_alone("extract", &mut reader, &Limits::default())
        .unwrap();
    let settled = applied.filter(|alone| snapshots.settle("extract", "layer-0", alone).unwrap());
    let done = settled.is_some();
    if let Some(alone) = settled {
        snapshots
            .commit("extract", "layer-alone", alone.applied.size)
            .unwrap();
    }
    snapshots.remove("extract").unwrap();
    snapshots.reap().unwrap();
    done
}

#[test]
fn a_layer_that_needs_nothing_below_comes_out_as_in_a_sequential_unpack() {
    let Some(scene) = Scene::new() else { return };
    let upper = Layer::new()
        .dir("./", 0o711)
        .dir("usr", 0o700)
        .dir("usr/lib", 0o755)
        .file("usr/lib/more", "more")
        .file("usr/lib/.wh.gone", "")
        .file("usr/lib/.wh.never-was", "")
        .dir("new", 0o755)
        .file("new/.wh.never-was", "")
        .hard("new/link", "usr/lib/more")
        .dir("opaque", 0o711)
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/.wh.old", "")
        .dir("opaque/sub", 0o700)
        .file("opaque/sub/new", "new")
        .dir("was-a-file", 0o755)
        .file("was-a-file/inside", "x")
        .entry(EntryType::Regular, "was-a-dir", "", b"file", 0o600)
        .file(".wh.linked", "")
        .file("twice", "first")
        .file("twice", "second")
        .done();
    scene.stack(&[base(), upper.clone()]).unwrap();
    assert!(alone(&scene, &upper));
    assert_eq!(scene.view("layer-alone"), scene.view("layer-1"));
    scene.check();
}

#[test]
fn a_layer_without_the_root_takes_it_from_below() {
    let Some(scene) = Scene::new() else { return };
    let upper = Layer::new().dir("dir", 0o755).done();
    scene.stack(&[base(), upper.clone()]).unwrap();
    assert!(alone(&scene, &upper));
    // The root has the time at which it was unpacked.
    let rest = |key: &str| {
        let view = scene.view(key);
        let (root, rest) = view.split_once('\n').unwrap();
        let words: Vec<&str> = root.split(' ').take(3).collect();
        format!("{words:?} {rest}")
    };
    assert_eq!(rest("layer-alone"), rest("layer-1"));
    scene.check();
}

#[test]
fn directories_that_a_layer_does_not_bring_are_those_below() {
    let Some(scene) = Scene::new() else { return };
    let upper = Layer::new()
        .dir("./", 0o755)
        .file("usr/lib/new", "new")
        .file("usr/lib/.wh.gone", "")
        .file("absent/before/new", "new")
        .file("opaque/sub/new", "new")
        .dir("opaque/sub", 0o711)
        .file("was-a-dir/file", "other")
        .file("was-a-dir/replaced/file", "x")
        .entry(EntryType::Regular, "was-a-dir/replaced", "", b"file", 0o600)
        .done();
    scene.stack(&[base(), upper.clone()]).unwrap();
    assert!(alone(&scene, &upper));
    // Directories in which something was made have the time at which they were unpacked.
    let rest = |key: &str| -> Vec<String> {
        let view = scene.view(key);
        let lines = view.lines().map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            // Name, mode, owner, time.
            let filled = [
                ".",
                "./usr/lib",
                "./absent",
                "./absent/before",
                "./was-a-dir",
            ];
            let all = words.len();
            let taken = if filled.contains(&words[0]) { 3 } else { all };
            words[..taken].join(" ")
        });
        lines.collect()
    };
    assert_eq!(rest("layer-alone"), rest("layer-1"));
    scene.check();
}

#[test]
fn a_layer_that_depends_on_what_is_below_is_given_up() {
    let Some(scene) = Scene::new() else { return };
    scene.stack(&[base()]).unwrap();
    for (why, layer) in [
        (
            "an opaque mark in a directory that it does not bring",
            Layer::new()
                .file("opaque/new", "x")
                .file("opaque/.wh..wh..opq", ""),
        ),
        (
            "an opaque mark above a directory that it does not bring",
            Layer::new()
                .dir("opaque", 0o755)
                .file("opaque/sub/new", "x")
                .file("opaque/.wh..wh..opq", ""),
        ),
        (
            "a deletion before what is in it",
            Layer::new().file(".wh.opaque", "").file("opaque/new", "x"),
        ),
        ("through a link", Layer::new().file("lib/new", "x")),
        ("a link to a lower file", Layer::new().hard("new", "linked")),
        (
            "a link to what it deletes",
            Layer::new().file(".wh.linked", "").hard("new", "linked"),
        ),
        (
            "a deletion without a parent",
            Layer::new().file("usr/lib/.wh.gone", ""),
        ),
        ("an opaque root", Layer::new().file(".wh..wh..opq", "")),
        (
            "an opaque mark before its directory",
            Layer::new()
                .file("opaque/.wh..wh..opq", "")
                .dir("opaque", 0o755),
        ),
        (
            "a deletion before a new directory",
            Layer::new().file(".wh.opaque", "").dir("opaque", 0o755),
        ),
        (
            "a file that becomes a directory",
            Layer::new().file("opaque", "").dir("opaque", 0o755),
        ),
    ] {
        assert!(!alone(&scene, &layer.done()), "{why}");
    }
    scene.check();
}

#[test]
fn attributes_of_a_directory_below_are_not_lost() {
    let Some(scene) = Scene::new() else { return };
    scene.stack(&[base()]).unwrap();
    let lower = scene.dir.path().join("data/snapshots/layer-0/fs");
    sys::root::RootDir::open_path(&lower)
        .and_then(|root| root.dir())
        .unwrap()
        .set_xattr("usr".as_ref(), "user.key".as_ref(), b"value")
        .unwrap();
    assert!(!alone(&scene, &Layer::new().dir("usr", 0o755).done()));
    assert!(alone(&scene, &Layer::new().dir("opaque", 0o755).done()));
    scene.check();
}

#[test]
fn a_layer_of_more_paths_than_are_kept_is_given_up() {
    let Some(scene) = Scene::new() else { return };
    scene.stack(&[base()]).unwrap();
    let layer = |count: usize| {
        let tops = 0..count;
        tops.fold(Layer::new(), |layer, top| {
            layer.deep(&top.to_string(), 1990, "file")
        })
        .done()
    };
    assert!(!alone(&scene, &layer(3)));
    // However few entries the limit allows: those below may have the directories.
    scene.snapshots.prepare("extract", None).unwrap();
    let limits = Limits {
        entries: 100,
        ..Limits::default()
    };
    let archive = layer(1);
    let applied = scene
        .snapshots
        .apply_alone("extract", &mut archive.as_slice(), &limits);
    assert!(applied.unwrap().is_none());
    scene.snapshots.remove("extract").unwrap();
    scene.snapshots.reap().unwrap();
    scene.check();
}

#[test]
fn deep_directories_that_are_below_are_each_looked_at_once() {
    let Some(scene) = Scene::new() else { return };
    let layer = |name| Layer::new().deep("top", 1500, name).done();
    scene.stack(&[layer("lower")]).unwrap();
    let begun = Instant::now();
    assert!(alone(&scene, &layer("upper")));
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(20), "{taken:?}");
    for key in ["layer-alone", "layer-0"] {
        scene.snapshots.remove(key).unwrap();
        scene.snapshots.reap().unwrap();
    }
    scene.check();
}
