//! A sweep comes at any moment.

use std::thread;
use std::time::Duration;

use oci::image::ContainerConfig;

use super::scene::{Scene, simple};

#[test]
fn a_sweep_takes_nothing_from_an_image_that_is_being_made() {
    let Some(scene) = Scene::new() else { return };
    let images = &scene.images;
    thread::scope(|scope| {
        let making = scope.spawn(|| {
            for number in 0..8 {
                let text = format!("content {number}");
                let name = format!("loaded:{number}");
                scene.load(&simple(&[&name], &text)).unwrap();
                let files: &[(&str, &[u8], u32)] = &[("file", text.as_bytes(), 0o755)];
                let name = format!("imported:{number}").parse().unwrap();
                images
                    .import_files(files, ContainerConfig::default(), Some(&name))
                    .unwrap();
            }
        });
        while !making.is_finished() {
            images.sweep(Duration::ZERO).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
    });
    assert_eq!(images.list().len(), 16);
    for image in images.list() {
        for blob in image.blobs() {
            let there = images.content.has(&blob).unwrap();
            assert!(there, "{blob} of {:?}", image.repo_tags);
        }
    }
}
