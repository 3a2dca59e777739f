//! Trees held against their archives: each damage is told where it is, and what a layer replaces itself is none.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tar::EntryType;

use crate::scene::{Layer, Scene};

fn layers() -> [Vec<u8>; 2] {
    let base = Layer::new()
        .dir("./", 0o755)
        .dir("usr", 0o755)
        .file("usr/kept", "kept")
        .file("usr/gone", "gone")
        .dir("opaque", 0o700)
        .file("opaque/old", "old")
        .symlink("link", "usr/kept")
        .entry(EntryType::Char, "null", "", b"", 0o666)
        .file("linked", "original")
        .hard("linked-too", "linked")
        .dir("usr/lib", 0o755)
        .symlink("lib", "/usr/lib")
        .done();
    let upper = Layer::new()
        .file("usr/.wh.gone", "")
        .dir("opaque", 0o711)
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/new", "new")
        .hard("hard-to-lower", "linked")
        .file("deep/missing/parents/file", "x")
        .file("lib/through-a-link", "x")
        .hard("link-through-a-link", "lib/through-a-link")
        // What the layer says twice counts as it was said last.
        .file("twice", "first")
        .hard("twice-linked", "twice")
        .file("twice", "second")
        .file("was-file", "file")
        .dir("was-file", 0o755)
        .file("was-file/inside", "inside")
        .dir("was-file", 0o700)
        .file("made/inside", "inside")
        .file(".wh.made", "")
        .file("made", "a file")
        .done();
    [base, upper]
}

fn found(scene: &Scene, layers: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    for (position, layer) in layers.iter().enumerate() {
        let key = format!("layer-{position}");
        let differences = scene.snapshots.compare(&key, &mut &layer[..]).unwrap();
        found.extend(differences.into_iter().map(|difference| {
            format!(
                "{position} {} {}",
                difference.path.display(),
                difference.what
            )
        }));
    }
    found
}

#[test]
fn a_tree_is_as_its_archive_says() {
    let Some(scene) = Scene::new() else { return };
    scene.stack(&layers()).unwrap();
    assert_eq!(found(&scene, &layers()), Vec::<String>::new());
    scene.check();
}

#[test]
fn each_damage_is_found_where_it_is() {
    let Some(scene) = Scene::new() else { return };
    scene.stack(&layers()).unwrap();
    let tree = |number: u32| -> PathBuf {
        scene
            .dir
            .path()
            .join(format!("data/snapshots/layer-{number}/fs"))
    };
    let replace = |path: &Path, content: &str| {
        fs::remove_file(path).unwrap();
        fs::write(path, content).unwrap();
    };
    fs::remove_file(tree(0).join("usr/kept")).unwrap();
    fs::write(tree(0).join("linked"), "ORIGINAL").unwrap();
    replace(&tree(0).join("link"), "usr/kept");
    fs::set_permissions(tree(0).join("null"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(tree(1).join("deep/missing/parents/file"), "xx").unwrap();
    // A mark of overlayfs's goes: the deleted file is seen again.
    fs::remove_file(tree(1).join("usr/gone")).unwrap();
    replace(&tree(1).join("hard-to-lower"), "original");
    fs::remove_dir_all(tree(1).join("opaque")).unwrap();
    // Nobody's: a file, a directory with all in it, and a mark that hides a file below.
    fs::write(tree(0).join("usr/lib/extra"), "").unwrap();
    fs::create_dir_all(tree(1).join("deep/more/still")).unwrap();
    let hides = tree(1).join("null");
    let mknod = Command::new("mknod")
        .arg(hides)
        .args(["c", "0", "0"])
        .status();
    assert!(mknod.unwrap().success());
    assert_eq!(
        found(&scene, &layers()),
        [
            "0 link something else",
            "0 linked other content",
            "0 null other attributes",
            "0 usr/kept lost",
            "0 usr/lib/extra not in its archive",
            "1 deep/missing/parents/file other content",
            "1 deep/more not in its archive",
            "1 hard-to-lower something else",
            "1 null not in its archive",
            "1 opaque other attributes",
            "1 opaque/new lost",
            "1 opaque/old deleted, and there again",
            "1 usr/gone deleted, and there again",
        ]
    );
    scene.check();
}
