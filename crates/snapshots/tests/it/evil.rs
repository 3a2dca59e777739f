//! Archives that try to get out. Each either fails or stays inside; the canary tells.

use snapshots::Limits;
use tar::EntryType;

use crate::scene::{Layer, Scene};

/// Applies layers that must be refused.
fn refuse(what: &str, layers: impl FnOnce(&str) -> Vec<Vec<u8>>) {
    let Some(scene) = Scene::new() else { return };
    let canary = scene.canary().to_str().unwrap().to_owned();
    assert!(scene.stack(&layers(&canary)).is_err(), "{what}");
    scene.check();
}

/// Applies layers that must stay inside; returns the view.
fn contain(layers: impl FnOnce(&str) -> Vec<Vec<u8>>) -> String {
    let Some(scene) = Scene::new() else {
        return String::new();
    };
    let canary = scene.canary().to_str().unwrap().to_owned();
    let key = scene.stack(&layers(&canary)).unwrap();
    let view = scene.view(&key);
    scene.check();
    view
}

#[test]
fn names_that_lead_out_are_refused() {
    for path in [
        "../CANARY/file",
        "a/../../CANARY/file",
        "/../x",
        "../../../../../../../tmp/x",
    ] {
        refuse(path, |_| vec![Layer::new().file(path, "evil").done()]);
    }
}

#[test]
fn absolute_names_are_inside() {
    let view = contain(|canary| vec![Layer::new().file(&format!("{canary}/file"), "evil").done()]);
    assert!(view.is_empty() || view.contains("CANARY/file"));
}

#[test]
fn writing_through_links_stays_inside() {
    for target in ["absolute", "relative"] {
        let layers = |canary: &str| {
            let to = if target == "absolute" {
                canary.to_owned()
            } else {
                format!("../../../../../..{canary}")
            };
            let base = Layer::new()
                .symlink("out", &to)
                .symlink("file-out", &format!("{to}/file"));
            vec![
                base.done(),
                Layer::new()
                    .dir("out", 0o7777)
                    .file("file-out", "evil")
                    .done(),
            ]
        };
        contain(layers);
        // Through the link itself, a missing directory inside cannot be made where the link stands.
        refuse(target, |canary| {
            let to = if target == "absolute" {
                canary.to_owned()
            } else {
                format!("../../../../../..{canary}")
            };
            vec![
                Layer::new()
                    .symlink("out", &to)
                    .file("out/file", "evil")
                    .done(),
            ]
        });
    }
    let view = contain(|canary| {
        vec![
            Layer::new()
                .dir(canary, 0o755)
                .symlink("out", canary)
                .file("out/file", "inside")
                .done(),
        ]
    });
    assert!(view.is_empty() || view.contains("CANARY/file"));
}

#[test]
fn hard_links_reach_nothing_outside() {
    refuse("absolute", |canary| {
        vec![Layer::new().hard("x", &format!("{canary}/file")).done()]
    });
    refuse("dots", |_| {
        vec![Layer::new().hard("x", "../../../CANARY/file").done()]
    });
    refuse("through a link", |canary| {
        vec![
            Layer::new()
                .symlink("out", canary)
                .hard("x", "out/file")
                .done(),
        ]
    });
    refuse("to the root", |_| vec![Layer::new().hard("x", "/").done()]);
    refuse("to a directory", |_| {
        vec![Layer::new().dir("d", 0o755).hard("x", "d").done()]
    });
    // A link to a link is a link; what is written over it replaces it.
    let view = contain(|canary| {
        let link = Layer::new()
            .symlink("link", &format!("{canary}/file"))
            .hard("same", "link")
            .done();
        vec![link, Layer::new().file("same", "inside").done()]
    });
    assert!(view.is_empty() || view.contains("same 100644"));
}

#[test]
fn whiteouts_delete_nothing_outside() {
    contain(|canary| {
        let base = Layer::new()
            .symlink("out", canary)
            .symlink("up", "../../../..")
            .done();
        let marks = Layer::new()
            .file("out/.wh.file", "")
            .file("out/.wh..wh..opq", "")
            .file("up/.wh.tmp", "")
            .done();
        vec![base, marks]
    });
    contain(|canary| {
        let base = Layer::new().dir("d", 0o755).symlink("d/out", canary).done();
        vec![base, Layer::new().file(".wh.d", "").done()]
    });
    for path in [".wh.", ".wh..", ".wh...", "a/.wh..."] {
        refuse(path, |_| {
            vec![
                Layer::new().dir("a", 0o755).done(),
                Layer::new().file(path, "").done(),
            ]
        });
    }
    refuse("outside", |_| {
        vec![Layer::new().file("../CANARY/.wh.file", "").done()]
    });
}

#[test]
fn the_root_is_a_directory() {
    for path in [".", "./", "/", "a/..", "//"] {
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Fifo,
            EntryType::Char,
        ] {
            refuse(path, |canary| {
                vec![Layer::new().entry(kind, path, canary, b"", 0o777).done()]
            });
        }
    }
    refuse("regular", |_| vec![Layer::new().file(".", "evil").done()]);
    let view = contain(|_| vec![Layer::new().dir("./", 0o1777).done()]);
    assert!(view.is_empty() || view.starts_with(". 41777 7:8"), "{view}");
}

#[test]
fn marks_of_overlayfs_are_not_made() {
    let device = |layered: bool| {
        let mut base = vec![Layer::new().file("x", "").done()];
        let mut bad = Layer::new()
            .entry(EntryType::Block, "x", "", b"", 0o600)
            .done();
        // The same header as a character device, with its checksum.
        bad[156] = b'3';
        bad[148..156].copy_from_slice(b"        ");
        let sum: u32 = bad[..512].iter().map(|byte| u32::from(*byte)).sum();
        bad[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        if layered {
            base.push(bad);
        } else {
            base = vec![bad];
        }
        base
    };
    refuse("in the first layer", |_| device(false));
    refuse("above another", |_| device(true));
}

#[test]
fn owners_out_of_range_are_refused() {
    for uid in [u64::from(u32::MAX), 1 << 32, (1 << 32) + 1] {
        let records = format!(" uid={uid}\n");
        let records = format!("{}{records}", records.len() + 2);
        let entry = |layer: Layer| {
            layer
                .entry(EntryType::XHeader, "pax", "", records.as_bytes(), 0)
                .file("x", "")
                .done()
        };
        refuse("owner", |_| vec![entry(Layer::new())]);
    }
}

#[test]
fn truncated_layers_leave_nothing() {
    let Some(scene) = Scene::new() else { return };
    let layer = Layer::new()
        .file("a", &"x".repeat(3000))
        .dir("d", 0o755)
        .file("d/b", "y")
        .done();
    for cut in [1, 511, 513, 1000, 3583, 4000, 4700, 5200] {
        assert!(
            scene
                .apply(None, &layer[..cut], &Limits::default(), "layer-x")
                .is_err(),
            "{cut}"
        );
        assert_eq!(scene.snapshots.keys().unwrap(), [""; 0]);
        scene.check();
    }
}

#[test]
fn directories_on_the_way_count_as_entries_do() {
    let Some(scene) = Scene::new() else { return };
    scene
        .stack(&[Layer::new().file("base", "x").done()])
        .unwrap();
    let layer = (0..4).fold(Layer::new(), |layer, top| {
        layer.deep(&top.to_string(), 1990, "file")
    });
    let layer = layer.done();
    for (parent, entries, fits) in [
        (None, 7_000, false),
        (Some("layer-0"), 7_000, false),
        (None, 8_000, true),
        (Some("layer-0"), 8_000, true),
    ] {
        let limits = Limits {
            entries,
            ..Limits::default()
        };
        let applied = scene.apply(parent, &layer, &limits, "layer-deep");
        assert_eq!(applied.is_ok(), fits, "{parent:?} {entries}: {applied:?}");
        scene.snapshots.remove("layer-deep").unwrap();
        scene.snapshots.reap().unwrap();
        scene.check();
    }
}
