//! Layers that builders make: the result is that of unpacking them one after the other.

use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;

use snapshots::Limits;
use tar::EntryType;

use crate::scene::{Layer, Scene, describe};

#[test]
fn the_result_is_that_of_a_sequential_unpack() {
    let Some(scene) = Scene::new() else { return };
    let base = Layer::new()
        .dir("./", 0o755)
        .dir("usr", 0o755)
        .dir("usr/lib", 0o2775)
        .file("usr/lib/kept", "kept")
        .file("usr/lib/gone", "gone")
        .symlink("lib", "usr/lib")
        .dir("opaque", 0o700)
        .file("opaque/old", "old")
        .dir("opaque/sub", 0o755)
        .file("opaque/sub/old", "old")
        .entry(EntryType::Regular, "setuid", "", b"#!", 0o4755)
        .entry(EntryType::Char, "null", "", b"", 0o666)
        .entry(EntryType::Fifo, "pipe", "", b"", 0o640)
        .file("linked", "original")
        .hard("linked-too", "linked")
        .dir("file-later", 0o755)
        .file("dir-later", "x")
        .done();
    // What tar can do itself comes as tar does it; whiteouts are done by hand.
    let upper = Layer::new()
        .file("usr/lib/more", "more")
        .file("lib/through-link", "in usr/lib")
        .dir("opaque", 0o711)
        .file("opaque/new", "new")
        .hard("hard-to-lower", "linked")
        .file("deep/missing/parents/file", "x")
        .file("file-later", "a file")
        .entry(EntryType::Regular, "dir-later", "", b"", 0o600)
        .done();
    let marks = Layer::new()
        .file("usr/lib/.wh.gone", "")
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/after", "after")
        .file(".wh.pipe", "")
        .file(".wh.never-was", "")
        .file(".wh..wh.plnk/1.2", "")
        .file("not/there/.wh.x", "")
        .done();
    let key = scene.stack(&[base.clone(), upper.clone(), marks]).unwrap();
    let expected = scene.dir.path().join("data/expected");
    fs::create_dir(&expected).unwrap();
    for layer in [base, upper] {
        let mut tar = Command::new("tar")
            .args([
                "--extract",
                "--preserve-permissions",
                "--numeric-owner",
                "--keep-directory-symlink",
                "--directory",
            ])
            .arg(&expected)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        tar.stdin.take().unwrap().write_all(&layer).unwrap();
        assert!(tar.wait().unwrap().success());
    }
    for gone in [
        "usr/lib/gone",
        "pipe",
        "opaque/old",
        "opaque/new",
        "opaque/sub/old",
    ] {
        fs::remove_file(expected.join(gone)).unwrap();
    }
    fs::remove_dir(expected.join("opaque/sub")).unwrap();
    fs::write(expected.join("opaque/after"), "after").unwrap();
    let without_times = |text: &str| {
        let line = |line: &str| {
            let mut words: Vec<&str> = line.split(' ').collect();
            // Directories without an entry of their own, and those that a mark changed, have the time of the test;
            // what was written by hand has the owner of the test.
            if words.len() > 3 && (words[1].starts_with('4') || words[0] == "./opaque/after") {
                words.drain(2..4);
            }
            words.join(" ")
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    };
    // As with every overlay, the lower file's other names keep the lower file: a link is made of the copied one.
    let expected_text = without_times(&describe(&expected, false)).replace(
        r#"["./hard-to-lower", "./linked", "./linked-too"]"#,
        r#"["./hard-to-lower", "./linked"], ["./linked-too"]"#,
    );
    assert_eq!(without_times(&scene.view(&key)), expected_text);
    fs::remove_dir_all(&expected).unwrap();
    scene.check();
}

#[test]
fn attributes_survive() {
    let Some(scene) = Scene::new() else { return };
    let work = scene.dir.path().join("data/made");
    fs::create_dir_all(work.join("dir")).unwrap();
    fs::write(work.join("dir/file"), "x").unwrap();
    let run = |program: &str, args: &[&str]| {
        assert!(
            Command::new(program)
                .args(args)
                .current_dir(&work)
                .status()
                .unwrap()
                .success(),
            "{program} {args:?}"
        );
    };
    run(
        "touch",
        &["-d", "2001-02-03T04:05:06.123456789Z", "dir/file"],
    );
    run("chown", &["-h", "4000000:5", "dir/file"]);
    run("chmod", &["6755", "dir/file"]);
    run("ln", &["-s", "/nowhere", &"l".repeat(150)]);
    run(
        "touch",
        &["-h", "-d", "1969-12-31T23:59:58.5Z", &"l".repeat(150)],
    );
    run("touch", &["-d", "2002-02-03T04:05:06.5Z", "dir", "."]);
    let layer = Command::new("tar")
        .args(["--create", "--format=pax", "."])
        .current_dir(&work)
        .output()
        .unwrap()
        .stdout;
    let key = scene.stack(&[layer]).unwrap();
    assert_eq!(scene.view(&key), describe(&work, false));
    fs::remove_dir_all(&work).unwrap();
    scene.check();
}

#[test]
fn what_a_lower_directory_is_stays_when_only_its_child_comes() {
    let Some(scene) = Scene::new() else { return };
    let base = Layer::new()
        .dir("etc", 0o2750)
        .file("etc/passwd", "root")
        .done();
    let upper = Layer::new().file("etc/group", "root").done();
    let key = scene.stack(&[base, upper]).unwrap();
    assert!(
        scene.view(&key).contains("etc 42750 7:8 "),
        "{}",
        scene.view(&key)
    );
    scene.check();
}

#[test]
fn containers_write_into_their_own_layer() {
    let Some(scene) = Scene::new() else { return };
    let key = scene
        .stack(&[Layer::new().file("a", "base").done()])
        .unwrap();
    for (name, volatile) in [("box-1", false), ("box-2", true)] {
        scene.snapshots.prepare(name, Some(&key)).unwrap();
        let mount = scene.snapshots.mount(name, false, volatile).unwrap();
        let root = format!("/proc/self/fd/{}", mount.as_raw_fd());
        fs::write(Path::new(&root).join("b"), name).unwrap();
        fs::remove_file(Path::new(&root).join("a")).unwrap();
        drop(mount);
        assert_eq!(scene.snapshots.usage(name).unwrap(), 5);
        let again = scene.snapshots.mount(name, false, volatile).unwrap();
        let root = format!("/proc/self/fd/{}", again.as_raw_fd());
        assert_eq!(
            fs::read_to_string(Path::new(&root).join("b")).unwrap(),
            name
        );
    }
    assert!(scene.view(&key).contains("./a 100644"));
    for name in ["box-1", "box-2"] {
        scene.snapshots.remove(name).unwrap();
    }
    scene.snapshots.reap().unwrap();
    scene.check();
}

#[test]
fn extended_attributes_are_set_but_those_of_overlayfs() {
    let Some(scene) = Scene::new() else { return };
    let mut records = Vec::new();
    for (key, value) in [
        ("user.x", "1"),
        ("trusted.overlay.opaque", "y"),
        ("trusted.overlay.redirect", "/x"),
    ] {
        let rest = format!(" SCHILY.xattr.{key}={value}\n");
        let length = rest.len() + 2;
        records.extend_from_slice(format!("{length}{rest}").as_bytes());
    }
    let base = Layer::new().dir("dir", 0o755).file("dir/below", "x").done();
    let upper = Layer::new()
        .entry(EntryType::XHeader, "pax", "", &records, 0o644)
        .dir("dir", 0o755)
        .done();
    let key = scene.stack(&[base, upper]).unwrap();
    assert!(scene.view(&key).contains("dir/below"));
    let mount = scene.snapshots.mount(&key, true, false).unwrap();
    let root = sys::root::RootDir::from_fd(mount).dir().unwrap();
    let value = root.xattr("dir".as_ref(), "user.x".as_ref()).unwrap();
    assert!(value.is_none() || value.as_deref() == Some(b"1"));
    scene.check();
}

#[test]
fn limits_hold() {
    let Some(scene) = Scene::new() else { return };
    let mut layer = Layer::new();
    for count in 0..20 {
        layer = layer.file(&format!("f{count}"), "");
    }
    let layer = layer.done();
    let entries = Limits {
        entries: 19,
        ..Limits::default()
    };
    let bytes = Limits {
        bytes: 4096,
        ..Limits::default()
    };
    for limits in [entries, bytes] {
        assert!(scene.apply(None, &layer, &limits, "layer-x").is_err());
        scene.check();
    }
    scene
        .apply(None, &layer, &Limits::default(), "layer-x")
        .unwrap();
    scene.check();
}

#[test]
fn many_opaque_marks_over_many_files_are_too_many() {
    let Some(scene) = Scene::new() else { return };
    let below = scene.stack(&[Layer::new().file("dir/old", "x").done()]);
    let below = below.unwrap();
    let mut layer = Layer::new();
    for count in 0..20 {
        layer = layer.file(&format!("dir/f{count}"), "");
    }
    for _ in 0..10 {
        layer = layer.file("dir/.wh..wh..opq", "");
    }
    let layer = layer.done();
    let limits = |entries| Limits {
        entries,
        ..Limits::default()
    };
    let apply = |entries| scene.apply(Some(&below), &layer, &limits(entries), "layer-x");
    let error = apply(100).unwrap_err().to_string();
    assert!(error.contains("more than 100 entries"), "{error}");
    scene.check();
    apply(250).unwrap();
    scene.check();
}

#[test]
fn a_hard_link_to_itself_keeps_its_file() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let layer = Layer::new()
        .file("a", "content")
        .hard("b", "a")
        .hard("b", "a")
        .hard("a", "./a")
        .hard("a", "b")
        .done();
    let view = scene.view(&scene.stack(&[layer]).unwrap());
    assert!(view.contains("links [[\"./a\", \"./b\"]]"), "{view}");
    scene.check();
}
