//! Archives that lie. Nothing of them is stored, and the canary is not touched.

use super::scene::{Layout, Scene, config, gzip, pack, saved, simple, tar};
use content::digest_of;
use snapshots::Limits;

fn refuse(what: &str, archive: &[u8]) {
    let Some(scene) = Scene::new() else { return };
    assert!(scene.load(archive).is_err(), "{what}");
    scene.check_empty();
}

fn manifest(config: &str, layer: &str) -> Vec<u8> {
    let layers = [tar(&[("file", b"x")])];
    let manifest = format!(r#"[{{"Config":{config:?},"RepoTags":["a:1"],"Layers":[{layer:?}]}}]"#);
    pack(&[
        ("config.json".to_owned(), super::scene::config(&layers, "")),
        ("layer.tar".to_owned(), layers[0].clone()),
        ("manifest.json".to_owned(), manifest.into_bytes()),
    ])
}

#[test]
fn names_in_the_manifest_never_leave_the_archive() {
    let Some(scene) = Scene::new() else { return };
    scene.load(&manifest("config.json", "layer.tar")).unwrap();
    let canary = scene
        .dir
        .path()
        .join("CANARY/file")
        .to_str()
        .unwrap()
        .to_owned();
    let root = "../../../../../../../../../..";
    for bad in [
        "../../x",
        "/etc/passwd",
        "",
        ".",
        "..",
        "none",
        "config.json/../../x",
        &canary,
        &format!("{root}{canary}"),
    ] {
        refuse(bad, &manifest(bad, "layer.tar"));
        refuse(bad, &manifest("config.json", bad));
    }
    scene.check_outside();
}

#[test]
fn entries_of_the_archive_are_not_paths_of_the_host() {
    for name in ["../CANARY/file", "/tmp/x", "a/../../x"] {
        let mut archive = pack(&[("x".to_owned(), b"evil".to_vec())]);
        archive[..100].fill(0);
        archive[..name.len()].copy_from_slice(name.as_bytes());
        archive[148..156].copy_from_slice(b"        ");
        let sum: u32 = archive[..512].iter().map(|byte| u32::from(*byte)).sum();
        archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let error = Scene::new().map(|scene| scene.load(&archive).unwrap_err().to_string());
        assert!(
            error.is_none_or(|error| error.contains("leads out")),
            "{name}"
        );
        refuse(name, &archive);
    }
}

#[test]
fn wrong_digests_are_refused() {
    let layer = tar(&[("file", b"x")]);
    let other = tar(&[("file", b"y")]);
    refuse(
        "DiffID",
        &saved(&[(
            &["a:1"],
            &config(std::slice::from_ref(&layer), ""),
            std::slice::from_ref(&other),
        )]),
    );
    let second = [layer.clone(), other.clone()];
    refuse("second DiffID after a good layer", &{
        let wrong = [layer.clone(), layer.clone()];
        saved(&[(&["a:1"], &config(&second, ""), &wrong)])
    });
    refuse(
        "number of layers",
        &saved(&[(&["a:1"], &config(&second, ""), std::slice::from_ref(&layer))]),
    );
    let mut layout = Layout::default();
    let image = layout.image(std::slice::from_ref(&layer), std::slice::from_ref(&layer)) + "}";
    for position in 0..layout.0.len() {
        let mut files = Layout(layout.0.clone());
        files.0[position].1.push(b'\n');
        refuse("blob", &files.done(std::slice::from_ref(&image)));
    }
}

#[test]
fn documents_that_are_none_are_refused() {
    let archive = |name: &str, text: &str| pack(&[(name.to_owned(), text.as_bytes().to_vec())]);
    for text in [
        "",
        "null",
        "{}",
        "[",
        "[null]",
        r#"[{"Config":null}]"#,
        r#"[{"Config":"manifest.json","Layers":null}]"#,
    ] {
        refuse(text, &archive("manifest.json", text));
        refuse(text, &archive("index.json", text));
    }
    let both = r#"{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}"#;
    refuse("both", &archive("index.json", both));
    refuse("neither", &archive("x", ""));
    let layers = [tar(&[])];
    let windows = String::from_utf8(config(&layers, ""))
        .unwrap()
        .replace("linux", "windows");
    refuse(
        "windows",
        &saved(&[(&["a:1"], windows.as_bytes(), &layers)]),
    );
    refuse(
        "bad name",
        &saved(&[(&["A:1"], &config(&layers, ""), &layers)]),
    );
    refuse("no archive", b"hello, this is not an archive at all");
}

#[test]
fn an_index_within_itself_ends() {
    let mut layout = Layout::default();
    let mut inner = layout.blob("x", &Layout::index(&[])) + "}";
    for _ in 0..10 {
        inner = layout.blob("", &Layout::index(&[inner])) + "}";
    }
    refuse("nested", &layout.done(&[inner]));
}

#[test]
fn truncated_and_damaged_archives_leave_nothing() {
    let plain = simple(&["a:1"], &"text ".repeat(4000));
    for archive in [
        plain.clone(),
        gzip(&plain),
        zstd::encode_all(plain.as_slice(), 1).unwrap(),
    ] {
        for part in 1..16 {
            refuse("truncated", &archive[..archive.len() * part / 16 - 7]);
        }
    }
    let mut damaged = gzip(&plain);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    refuse("damaged", &damaged);
    let layers = [tar(&[("file", b"x")])];
    for length in [10, 30] {
        let cut = [gzip(&layers[0])[..length].to_vec()];
        refuse(
            "truncated layer",
            &saved(&[(&["a:1"], &config(&layers, ""), &cut)]),
        );
    }
}

#[test]
fn bombs_are_bounded() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let zeros = vec![0; 4 << 20];
    let layers = [tar(&[("zeros", &zeros)])];
    let bomb = saved(&[(&["a:1"], &config(&layers, ""), &[gzip(&layers[0])])]);
    assert!(bomb.len() < 64 << 10);
    scene.images.layers.limits = Limits {
        bytes: 1 << 20,
        ..Limits::default()
    };
    assert!(scene.load(&bomb).is_err());
    scene.check_empty();
    scene.images.archive_limits.bytes = 1 << 20;
    assert!(
        scene
            .load(&gzip(&saved(&[(&["a:1"], &config(&layers, ""), &layers)])))
            .is_err()
    );
    scene.check_empty();
    scene.images.archive_limits.entries = 3;
    let many: Vec<_> = (0..4)
        .map(|count| (count.to_string(), Vec::new()))
        .collect();
    assert!(scene.load(&pack(&many)).is_err());
    scene.check_empty();
}

#[test]
fn a_manifest_that_is_listed_again_is_read_once_and_all_of_them_are_bounded() {
    let Some(scene) = Scene::new() else { return };
    let layers = [tar(&[("file", b"x")])];
    let stored = [gzip(&layers[0])];
    let named = |name: &str| format!(r#","annotations":{{"io.containerd.image.name":"{name}"}}}}"#);
    let mut layout = Layout::default();
    let image = layout.large_image(&layers, &stored, 4 << 20);
    let mut listed = vec![image.clone() + "}"; 500];
    listed.extend((0..3).map(|number| image.clone() + &named(&format!("a:{}", number / 2))));
    let said = scene.load(&layout.done(&listed)).unwrap();
    assert_eq!(said, ["Loaded image: a:0", "Loaded image: a:1"]);

    // The same with a list beside it, as it is read for its manifests.
    let mut layout = Layout::default();
    let image = layout.large_image(&layers, &stored, 4 << 20);
    layout.0.push(("layer".to_owned(), stored[0].clone()));
    layout.0.push(("config".to_owned(), config(&layers, "")));
    let list = r#"[{"Config":"config","RepoTags":["b:1"],"Layers":["layer"]}]"#;
    layout.0.push(("manifest.json".to_owned(), list.into()));
    let archive = layout.done(&vec![image + "}"; 500]);
    assert_eq!(scene.load(&archive).unwrap(), ["Loaded image: b:1"]);

    for nested in [false, true] {
        let mut layout = Layout::default();
        let listed: Vec<String> = (0..9)
            .map(|number| {
                let image = layout.large_image(&layers, &stored, (4 << 20) + number) + "}";
                if nested {
                    layout.blob("", &Layout::index(&[image])) + "}"
                } else {
                    image
                }
            })
            .collect();
        let error = Scene::new().map(|scene| scene.load(&layout.done(&listed)).unwrap_err());
        assert!(error.is_some_and(|error| error.to_string().contains("larger than")));
    }
    let mut layout = Layout::default();
    let image = layout.image(&layers, &stored) + "}";
    refuse("listed too often", &layout.done(&vec![image; 1001]));
}

#[test]
fn what_is_no_tag_names_no_image_of_an_archive() {
    let digest = digest_of(b"another image");
    let pinned = format!("victim/app@{digest}");
    let both = format!("victim/app:1@{digest}");
    let refused = |archive: &[u8], words: &str| {
        let Some(scene) = Scene::new() else { return };
        let error = scene.load(archive).unwrap_err();
        assert_eq!(error.to_string(), words);
        scene.check_empty();
    };
    for untagged in [&pinned, "victim/app"] {
        let invalid = format!("invalid tag {untagged:?}");
        refused(&simple(&[untagged], "x"), &invalid);
    }
    let words = "refusing to create a tag with a digest reference";
    refused(&simple(&["good:1", &both], "x"), words);

    let layers = [tar(&[("file", b"x")])];
    for key in [
        "io.containerd.image.name",
        "org.opencontainers.image.ref.name",
    ] {
        for name in [&pinned, &both] {
            let mut layout = Layout::default();
            let image = layout.image(&layers, &[gzip(&layers[0])]);
            let own = digest_of(&layout.0.last().unwrap().1);
            let image = image + &format!(r#","annotations":{{"{key}":"{name}"}}}}"#);
            let words = format!("invalid name {name:?}: its image has the digest {own}");
            refused(&layout.done(&[image]), &words);
        }
    }
}

#[test]
fn what_is_there_of_two_images_is_not_taken_for_one_layer() {
    let Some(scene) = Scene::new() else { return };
    let layers = [tar(&[("file", b"x")])];
    let secret = [tar(&[("file", b"secret")])];
    let packed = [&layers, &secret].map(|layers| [gzip(&layers[0])]);
    let layout = |layers, stored| {
        let mut layout = Layout::default();
        let image = layout.image(layers, stored) + "}";
        layout.done(&[image])
    };
    scene.load(&layout(&layers, &packed[0])).unwrap();
    scene.load(&layout(&secret, &packed[1])).unwrap();
    let error = scene.load(&layout(&layers, &packed[1])).unwrap_err();
    assert!(
        matches!(&error, crate::Error::DiffId { found, .. } if *found == digest_of(&secret[0])),
        "{error}"
    );
    assert_eq!(scene.images.list().len(), 2);
    assert_eq!(scene.count("content/blobs/sha256"), 6);
}
