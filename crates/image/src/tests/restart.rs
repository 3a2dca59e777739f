//! What is on disk is all there is: images come back, damaged ones step aside.

use std::fs;

use super::scene::{Scene, simple};

#[test]
fn images_and_names_come_back() {
    let Some(scene) = Scene::new() else { return };
    scene.load(&simple(&["a:1"], "x")).unwrap();
    let image = scene.images.resolve("a:1").unwrap();
    let long = format!(
        "registry.example:5000/{}/{}:{}",
        "n".repeat(120),
        "m".repeat(120),
        "t".repeat(128)
    );
    scene.images.tag(&image, &long.parse().unwrap()).unwrap();
    let before = format!("{:?}", scene.images.list());
    let scene = scene.reopen();
    assert_eq!(scene.images.quarantined(), []);
    let names = |text: &str| text.split("last_tagged").next().unwrap().to_owned();
    assert_eq!(names(&format!("{:?}", scene.images.list())), names(&before));
    assert_eq!(scene.images.resolve(&long).unwrap().id, image.id);
}

#[test]
fn damaged_records_and_blobs_do_not_stop_the_start() {
    let Some(scene) = Scene::new() else { return };
    for name in ["a:1", "b:1", "c:1"] {
        scene.load(&simple(&[name], name)).unwrap();
    }
    let data = scene.dir.path().join("data");
    let id = |name: &str| scene.images.resolve(name).unwrap().id.hex().to_owned();
    fs::write(data.join(format!("images/{}.json", id("a:1"))), "{").unwrap();
    fs::write(data.join("content/blobs/sha256").join(id("b:1")), "{}").unwrap();
    fs::write(data.join("refs/torn.json"), "").unwrap();
    let scene = scene.reopen();
    assert_eq!(scene.images.list().len(), 1);
    assert_eq!(scene.images.resolve("c:1").unwrap().repo_tags, ["c:1"]);
    assert_eq!(scene.images.quarantined().len(), 5);
    // Two records, and three names: the torn one and those of the two images.
    assert_eq!(scene.count("quarantine"), 5);
    scene.load(&simple(&["a:1"], "a:1")).unwrap();
    scene.check_outside();
}

#[test]
fn what_an_interrupted_load_left_is_gone() {
    let Some(scene) = Scene::new() else { return };
    scene.images.snapshots.prepare("extract-9", None).unwrap();
    scene.images.content.spool().map(std::mem::forget).unwrap();
    let scene = scene.reopen();
    scene.images.snapshots.reap().unwrap();
    scene.check_empty();
}

#[test]
fn reading_does_not_wait_for_a_load() {
    use std::io::{Read, pipe};
    let Some(scene) = Scene::new() else { return };
    let (mut reader, writer) = pipe().unwrap();
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| {
            scene
                .images
                .load(&mut reader as &mut dyn Read, &[], &mut |_| {})
        });
        assert_eq!(scene.images.list().len(), 0);
        assert!(scene.images.resolve("x").is_err());
        drop(writer);
        assert!(loading.join().unwrap().is_err());
    });
}
