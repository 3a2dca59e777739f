//! Archives of every kind are loaded.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::scene::{Layout, Scene, config, gzip, saved, simple, tar};
use crate::{Description, ImageConfigChanges};
use content::digest_of;
use oci::image::ContainerConfig;

#[test]
fn saved_images_are_loaded_whatever_their_compression() {
    let plain = simple(&["busybox:latest", "busybox:1"], "x");
    let xz = {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(&plain).unwrap();
        encoder.finish().unwrap()
    };
    for archive in [
        plain.clone(),
        gzip(&plain),
        zstd::encode_all(plain.as_slice(), 1).unwrap(),
        xz,
    ] {
        let Some(scene) = Scene::new() else { return };
        let said = scene.load(&archive).unwrap();
        assert_eq!(
            said,
            ["Loaded image: busybox:latest", "Loaded image: busybox:1"]
        );
        let image = scene.images.resolve("busybox").unwrap();
        assert_eq!(image.repo_tags, ["busybox:1", "busybox:latest"]);
        assert_eq!((image.size, image.chains.len()), (1, 1));
        assert_eq!(image.chain.as_ref(), image.chains.last());
        assert_eq!(scene.count("content/ingest"), 0);
        assert_eq!(scene.load(&archive).unwrap(), said);
        assert_eq!(scene.images.list().len(), 1);
    }
}

#[test]
fn images_share_layers_and_nameless_ones_are_told_by_id() {
    let Some(scene) = Scene::new() else { return };
    let base = tar(&[("base", b"12345")]);
    let (one, two) = (tar(&[("one", b"1")]), tar(&[("two", b"22")]));
    let first = [base.clone(), one];
    let second = [base, gzip(&two)];
    let plain = [second[0].clone(), two];
    let archive = saved(&[
        (&["x/one:1"], &config(&first, ""), &first),
        (&[], &config(&plain, ""), &second),
    ]);
    let said = scene.load(&archive).unwrap();
    assert_eq!(said[0], "Loaded image: x/one:1");
    let id = said[1].strip_prefix("Loaded image ID: ").unwrap();
    assert_eq!(scene.images.resolve(id).unwrap().size, 7);
    assert_eq!(scene.images.resolve("x/one:1").unwrap().size, 6);
    assert_eq!(scene.count("snapshots"), 4);
}

#[test]
fn a_name_that_moves_is_told() {
    let Some(scene) = Scene::new() else { return };
    scene.load(&simple(&["a:1"], "x")).unwrap();
    let old = scene.images.resolve("a:1").unwrap();
    let said = scene.load(&simple(&["a:1"], "y")).unwrap();
    let text = format!(
        "The image a:1 already exists, renaming the old one with ID {} to empty string",
        old.id
    );
    assert_eq!(said, [text.as_str(), "Loaded image: a:1"]);
    assert_ne!(scene.images.resolve("a:1").unwrap().id, old.id);
    assert!(
        scene
            .images
            .resolve(old.id.as_str())
            .unwrap()
            .repo_tags
            .is_empty()
    );
}

#[test]
fn layers_that_are_links_in_the_archive_are_found() {
    let Some(scene) = Scene::new() else { return };
    let layer = tar(&[("file", b"x")]);
    let layers = [layer.clone(), layer.clone()];
    let dir = scene.dir.path().join("data/made");
    std::fs::create_dir_all(dir.join("aa")).unwrap();
    std::fs::create_dir_all(dir.join("bb")).unwrap();
    std::fs::write(dir.join("bb/layer.tar"), &layer).unwrap();
    std::os::unix::fs::symlink("../bb/layer.tar", dir.join("aa/layer.tar")).unwrap();
    std::fs::write(dir.join("config.json"), config(&layers, "")).unwrap();
    let manifest =
        r#"[{"Config":"config.json","RepoTags":["a:1"],"Layers":["aa/layer.tar","bb/layer.tar"]}]"#;
    std::fs::write(dir.join("manifest.json"), manifest).unwrap();
    let archive = Command::new("tar")
        .args(["-c", "."])
        .current_dir(&dir)
        .stdin(Stdio::null())
        .output()
        .unwrap()
        .stdout;
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(scene.load(&archive).unwrap(), ["Loaded image: a:1"]);
    assert_eq!(scene.images.resolve("a:1").unwrap().chains.len(), 2);
}

#[test]
fn layouts_are_loaded_for_this_machine() {
    let Some(scene) = Scene::new() else { return };
    let layers = [tar(&[("file", b"right")])];
    let other = [tar(&[("file", b"wrong")])];
    let mut layout = Layout::default();
    let platform = |architecture: &str| {
        format!(r#","platform":{{"architecture":"{architecture}","os":"linux"}}}}"#)
    };
    let right = layout.image(&layers, &[gzip(&layers[0])]) + &platform(crate::load::architecture());
    let wrong = layout.image(&other, &other) + &platform("s390x");
    let note = layout.image(&other, &other)
        + r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}}"#;
    let nested = Layout::index(&[note, wrong, right]);
    let nested = layout.blob("application/vnd.oci.image.index.v1+json", &nested)
        + r#","annotations":{"io.containerd.image.name":"docker.io/library/multi:1","org.opencontainers.image.ref.name":"1"}}"#;
    let single = layout.image(&other, &other)
        + r#","annotations":{"org.opencontainers.image.ref.name":"latest"}}"#;
    let said = scene.load(&layout.done(&[nested, single])).unwrap();
    assert_eq!(said[0], "Loaded image: multi:1");
    assert!(said[1].starts_with("Loaded image ID: sha256:"));
    assert_eq!(
        scene.images.resolve("multi:1").unwrap().chains[0],
        digest_of(&layers[0]).as_str()
    );
}

#[test]
fn a_tree_becomes_an_image() {
    let Some(scene) = Scene::new() else { return };
    let changes = ImageConfigChanges::parse(&[r#"CMD ["/x"]"#, "ENV A=1"]).unwrap();
    let layer = gzip(&tar(&[("x", b"abc")]));
    let name = "imported".parse().unwrap();
    let about = Description {
        changes,
        platform: Some(crate::platform::parse("linux/arm/v7").unwrap()),
        message: "Imported from -".to_owned(),
    };
    let image = scene
        .images
        .import(&mut layer.as_slice(), Some(&name), about)
        .unwrap();
    assert_eq!(image.repo_tags, ["imported:latest"]);
    assert_eq!(
        (image.size, image.config.comment.as_str()),
        (3, "Imported from -")
    );
    assert_eq!(image.config.config.env, ["A=1"]);
    assert_eq!(image.config.history.len(), 1);
    let config = &image.config;
    assert_eq!(
        [&config.os, &config.architecture, &config.variant],
        ["linux", "arm", "v7"]
    );
    assert_eq!(scene.images.resolve("imported").unwrap().id, image.id);
}

#[test]
fn files_become_the_same_image_every_time() {
    let Some(scene) = Scene::new() else { return };
    let make = || {
        let config = ContainerConfig {
            cmd: Some(vec!["/bin/hello".to_owned()]),
            ..ContainerConfig::default()
        };
        let files: &[(&str, &[u8], u32)] =
            &[("/bin/hello", b"hi", 0o755), ("bin/other", b"", 0o600)];
        scene
            .images
            .import_files(files, config, Some(&"corten/hello".parse().unwrap()))
            .unwrap()
    };
    let image = make();
    assert_eq!(make().id, image.id);
    assert_eq!(image.repo_tags, ["corten/hello:latest"]);
    assert_eq!(scene.images.list().len(), 1);
}

#[test]
fn of_an_archive_only_what_is_for_the_platform_is_loaded_and_saved() {
    let Some(scene) = Scene::new() else { return };
    let [own, other] = ["linux/amd64", "linux/arm64"].map(|it| crate::platform::parse(it).unwrap());
    let layers = [tar(&[("file", b"x")])];
    let mut layout = Layout::default();
    let image = layout.image(&layers, &[gzip(&layers[0])]) + "}";
    for archive in [
        saved(&[(&["a:1"], &config(&layers, ""), &layers)]),
        layout.done(&[image]),
    ] {
        let for_other = scene.load_for(&archive, std::slice::from_ref(&other));
        assert_eq!(for_other.unwrap(), [""; 0]);
        scene.check_empty();
        let both = [other.clone(), own.clone()];
        let name = scene.load_for(&archive, &both).unwrap().remove(0);
        let name = name.rsplit_once(": ").unwrap().1.to_owned();
        let names = [name.clone()];
        assert!(scene.images.begin_save(&names, &both[1..]).is_ok());
        let error = scene.images.begin_save(&names, &both).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no suitable export target found for platform linux/arm64"
        );
        scene.images.remove(&name, true, false, &|_| None).unwrap();
    }
}

#[test]
fn a_name_with_the_images_own_digest_is_kept() {
    let Some(scene) = Scene::new() else { return };
    let layers = [tar(&[("file", b"x")])];
    let mut layout = Layout::default();
    let image = layout.image(&layers, &[gzip(&layers[0])]);
    let name = format!("a@{}", digest_of(&layout.0.last().unwrap().1));
    let named = image + &format!(r#","annotations":{{"io.containerd.image.name":"{name}"}}}}"#);
    let said = scene.load(&layout.done(&[named])).unwrap();
    assert_eq!(said, [format!("Loaded image: {name}")]);

    // What was asked for by its digest is saved without a name, and loads again.
    let image = scene.images.resolve(&name).unwrap();
    assert_eq!(image.repo_digests, std::slice::from_ref(&name));
    let mut archive = Vec::new();
    scene
        .images
        .begin_save(&[name], &[])
        .unwrap()
        .write(&mut archive)
        .unwrap();
    scene
        .images
        .remove(image.id.as_str(), true, false, &|_| None)
        .unwrap();
    let said = scene.load(&archive).unwrap();
    assert_eq!(said, [format!("Loaded image ID: {}", image.id)]);
}
