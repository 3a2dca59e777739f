//! Names are given, found and taken away by Docker's rules.

use super::scene::{Scene, simple};
use crate::{InUse, Removed};
use oci::Digest;

fn free(_: &Digest) -> Option<InUse> {
    None
}

fn user(running: bool) -> impl Fn(&Digest) -> Option<InUse> {
    move |_| {
        Some(InUse {
            container: "123456789abcdef".repeat(4),
            running,
        })
    }
}

fn two() -> Option<Scene> {
    let scene = Scene::new()?;
    scene.load(&simple(&["busybox:latest"], "x")).unwrap();
    scene.load(&simple(&["other:1"], "y")).unwrap();
    Some(scene)
}

#[test]
fn images_are_found_by_name_id_and_prefix() {
    let Some(scene) = two() else { return };
    let image = scene.images.resolve("busybox").unwrap();
    let hex = image.id.hex();
    for name in [
        "docker.io/library/busybox",
        "busybox:latest",
        hex,
        image.id.as_str(),
        &hex[..12],
        &format!("sha256:{}", &hex[..9]),
    ] {
        assert_eq!(scene.images.resolve(name).unwrap().id, image.id, "{name}");
    }
    let full = "f".repeat(64);
    for (name, error) in [
        ("x", "No such image: x:latest".to_owned()),
        ("x:1", "No such image: x:1".to_owned()),
        ("busybox:1", "No such image: busybox:1".to_owned()),
        (&full, format!("No such image: sha256:{full}")),
        (
            "Busybox",
            "invalid reference format: repository name (library/Busybox) must be lowercase"
                .to_owned(),
        ),
        ("a b", "invalid reference format".to_owned()),
        ("", "invalid reference format".to_owned()),
    ] {
        assert_eq!(
            scene.images.resolve(name).unwrap_err().to_string(),
            error,
            "{name}"
        );
    }
}

#[test]
fn a_prefix_of_several_is_ambiguous() {
    let Some(scene) = Scene::new() else { return };
    for count in 0..20 {
        scene.load(&simple(&[], &count.to_string())).unwrap();
    }
    let images = scene.images.list();
    let first = |image: &crate::Image| image.id.hex()[..1].to_owned();
    let twice = images
        .iter()
        .find(|one| {
            images
                .iter()
                .filter(|other| first(other) == first(one))
                .count()
                > 1
        })
        .unwrap();
    assert!(matches!(
        scene.images.resolve(&first(twice)),
        Err(crate::Error::Ambiguous(_))
    ));
}

#[test]
fn the_last_name_takes_the_image_along() {
    let Some(scene) = two() else { return };
    let image = scene.images.resolve("busybox").unwrap();
    scene
        .images
        .tag(&image, &"more:1".parse().unwrap())
        .unwrap();
    assert_eq!(
        scene.images.resolve("more:1").unwrap().repo_tags,
        ["busybox:latest", "more:1"]
    );
    let removed = scene.images.remove("busybox", false, false, &free).unwrap();
    assert_eq!(removed, [Removed::Untagged("busybox:latest".to_owned())]);
    let removed = scene.images.remove("more:1", false, false, &free).unwrap();
    assert_eq!(
        removed,
        [
            Removed::Untagged("more:1".to_owned()),
            Removed::Deleted(image.id.to_string()),
            Removed::Deleted(image.chain.clone().unwrap()),
        ]
    );
    assert_eq!(scene.images.list().len(), 1);
    scene.images.remove("other:1", false, false, &free).unwrap();
    scene.check_empty();
}

#[test]
fn an_id_takes_all_names_of_one_repository_along() {
    let Some(scene) = two() else { return };
    let image = scene.images.resolve("busybox").unwrap();
    let digest = format!("busybox@sha256:{}", "a".repeat(64));
    scene.images.tag(&image, &digest.parse().unwrap()).unwrap();
    assert_eq!(
        scene.images.resolve(&digest).unwrap().repo_digests,
        std::slice::from_ref(&digest)
    );
    let removed = scene
        .images
        .remove(image.id.short(), false, false, &free)
        .unwrap();
    assert!(removed.contains(&Removed::Untagged(digest)));
    assert_eq!(removed.len(), 4);
}

#[test]
fn the_last_tag_takes_the_digests_along() {
    let Some(scene) = two() else { return };
    let image = scene.images.resolve("busybox").unwrap();
    let digest = format!("busybox@sha256:{}", "a".repeat(64));
    scene.images.tag(&image, &digest.parse().unwrap()).unwrap();
    let removed = scene.images.remove("busybox", false, false, &free).unwrap();
    assert_eq!(removed[1], Removed::Untagged(digest));
    assert_eq!(removed.len(), 4);
}

#[test]
fn conflicts_are_told_in_dockers_words() {
    let Some(scene) = two() else { return };
    let image = scene.images.resolve("busybox").unwrap();
    let short = image.id.short();
    let fails = |name: &str, force, running| {
        scene
            .images
            .remove(name, force, false, &user(running))
            .unwrap_err()
            .to_string()
    };
    let expected = format!(
        "conflict: unable to remove repository reference \"busybox\" (must force) - container 123456789abc is using its \
         referenced image {short}"
    );
    assert_eq!(fails("busybox", false, false), expected);
    assert_eq!(fails("busybox", false, true), expected);
    let text = |rest: &str| format!("conflict: unable to delete {short} {rest}");
    assert_eq!(
        fails(short, false, false),
        text("(must be forced) - image is being used by stopped container 123456789abc")
    );
    let running =
        text("(cannot be forced) - image is being used by running container 123456789abc");
    assert_eq!(fails(short, false, true), running);
    assert_eq!(fails(short, true, true), running);
    scene
        .images
        .tag(&image, &"more:1".parse().unwrap())
        .unwrap();
    let error = scene
        .images
        .remove(short, false, false, &free)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        text("(must be forced) - image is referenced in multiple repositories")
    );
    assert_eq!(
        scene
            .images
            .remove(short, true, false, &free)
            .unwrap()
            .len(),
        4
    );
}

#[test]
fn forced_away_from_under_a_container_the_image_loses_its_name_or_leaves_its_layers() {
    let Some(scene) = two() else { return };
    let removed = scene
        .images
        .remove("busybox", true, false, &user(true))
        .unwrap();
    assert_eq!(removed, [Removed::Untagged("busybox:latest".to_owned())]);
    let image = scene.images.resolve("other:1").unwrap();
    scene
        .images
        .snapshots
        .prepare("container", image.chain.as_deref())
        .unwrap();
    let removed = scene
        .images
        .remove("other:1", true, false, &user(false))
        .unwrap();
    assert_eq!(
        removed,
        [
            Removed::Untagged("other:1".to_owned()),
            Removed::Deleted(image.id.to_string())
        ]
    );
    assert!(scene.images.snapshots.has(image.chain.as_ref().unwrap()));
    scene.images.snapshots.remove("container").unwrap();
    assert_eq!(scene.images.collect().unwrap(), image.chains);
}
