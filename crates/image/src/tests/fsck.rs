//! Damage of every kind, made by hand: found, mended or removed, and healed by the next load.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use content::digest_of;
use oci::Digest;

use super::scene::{Layout, Scene, gzip, tar};
use crate::fsck::{Kind, Outcome, Problem, Users};
use crate::{Error, InUse};

/// An image of two layers from a layout, so that it has a manifest; where everything of it lies.
struct Damaged {
    scene: Scene,
    archive: Vec<u8>,
    data: PathBuf,
}

const NAME: &str = "a:1";

impl Damaged {
    fn new() -> Option<Self> {
        let scene = Scene::new()?;
        let layers = [
            tar(&[("lower", b"one"), ("both", b"one")]),
            tar(&[("upper", b"two"), ("both", b"two")]),
        ];
        let packed = [gzip(&layers[0]), gzip(&layers[1])];
        let mut layout = Layout::default();
        let image = layout.image(&layers, &packed);
        let name = r#","annotations":{"io.containerd.image.name":"docker.io/library/a:1"}}"#;
        let archive = layout.done(&[image + name]);
        scene.load(&archive).unwrap();
        let data = scene.dir.path().join("data");
        Some(Self {
            scene,
            archive,
            data,
        })
    }

    fn image(&self) -> std::sync::Arc<crate::Image> {
        self.scene.images.resolve(NAME).unwrap()
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.data.join("content/blobs/sha256").join(digest.hex())
    }

    fn config(&self) -> PathBuf {
        self.blob(&self.image().id)
    }

    fn manifest(&self) -> PathBuf {
        self.blob(self.image().manifest.as_ref().unwrap())
    }

    fn layer(&self, number: usize) -> PathBuf {
        self.blob(&self.image().layers[number].digest)
    }

    fn tree(&self, number: usize) -> PathBuf {
        let name = self.image().chains[number].replace(':', "@");
        self.data.join("snapshots").join(name)
    }

    fn record(&self) -> PathBuf {
        self.data
            .join(format!("images/{}.json", self.image().id.hex()))
    }

    fn reference(&self) -> PathBuf {
        self.data.join("refs/docker.io%2Flibrary%2Fa:1.json")
    }

    fn check(&self, repair: bool) -> Vec<Problem> {
        self.check_beside(repair, &|_| None, &|_| false)
    }

    fn check_beside(
        &self,
        repair: bool,
        of_image: &dyn Fn(&Digest) -> Option<InUse>,
        runs: &dyn Fn(&str) -> bool,
    ) -> Vec<Problem> {
        let users = Users { of_image, runs };
        self.scene.images.fsck(&users, repair).unwrap().problems
    }

    /// The image is whole: its trees hold what they must, and it can be saved.
    fn assert_whole(&self) {
        let image = self.image();
        for (number, content) in [(0, "one"), (1, "two")] {
            let file = self.tree(number).join("fs/both");
            assert_eq!(fs::read_to_string(file).unwrap(), content);
        }
        assert_eq!(image.layers.len(), 2);
        let saving = self
            .scene
            .images
            .begin_save(&[NAME.to_owned()], &[])
            .unwrap();
        saving.write(&mut Vec::new()).unwrap();
    }

    fn reopen(self) -> Self {
        let Self {
            scene,
            archive,
            data,
        } = self;
        let scene = scene.reopen();
        Self {
            scene,
            archive,
            data,
        }
    }
}

/// Another byte in the middle.
fn spoil(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let at = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x55], at).unwrap();
}

fn age(path: &Path) {
    let before = SystemTime::now() - Duration::from_hours(48);
    File::open(path).unwrap().set_modified(before).unwrap();
}

type Damage = fn(&Damaged);

/// Damage, by what it is found.
const DAMAGES: [(&str, Kind, Damage); 20] = [
    ("a layer's archive has other bytes", Kind::Blob, |it| {
        spoil(&it.layer(1));
    }),
    ("a layer's archive is missing", Kind::Blob, |it| {
        fs::remove_file(it.layer(0)).unwrap();
    }),
    ("the configuration has other bytes", Kind::Blob, |it| {
        spoil(&it.config());
    }),
    ("the configuration is missing", Kind::Blob, |it| {
        fs::remove_file(it.config()).unwrap();
    }),
    ("the manifest has other bytes", Kind::Blob, |it| {
        spoil(&it.manifest());
    }),
    ("the manifest is missing", Kind::Blob, |it| {
        fs::remove_file(it.manifest()).unwrap();
    }),
    ("the lowest tree is missing", Kind::Layer, |it| {
        fs::remove_dir_all(it.tree(0)).unwrap();
    }),
    ("all files of a tree are missing", Kind::Layer, |it| {
        fs::remove_dir_all(it.tree(1).join("fs")).unwrap();
    }),
    ("a file of a tree is missing", Kind::Layer, |it| {
        fs::remove_file(it.tree(0).join("fs/lower")).unwrap();
    }),
    ("a file of a tree has other bytes", Kind::Layer, |it| {
        spoil(&it.tree(1).join("fs/both"));
    }),
    ("a file of a tree has another mode", Kind::Layer, |it| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
        fs::set_permissions(it.tree(1).join("fs/upper"), mode).unwrap();
    }),
    ("a tree's record is torn", Kind::Layer, |it| {
        fs::write(it.tree(0).join("record.json"), "{").unwrap();
    }),
    ("a tree's record is missing", Kind::Layer, |it| {
        fs::remove_file(it.tree(1).join("record.json")).unwrap();
    }),
    ("a tree's record is another's", Kind::Layer, |it| {
        let other = it.tree(1).join("record.json");
        fs::copy(other, it.tree(0).join("record.json")).unwrap();
    }),
    ("a tree and its archive are missing", Kind::Layer, |it| {
        fs::remove_dir_all(it.tree(1)).unwrap();
        fs::remove_file(it.layer(1)).unwrap();
    }),
    ("the image's record is torn", Kind::Image, |it| {
        fs::write(it.record(), "{").unwrap();
    }),
    ("the image's record is missing", Kind::Image, |it| {
        fs::remove_file(it.record()).unwrap();
    }),
    ("a name's record is torn", Kind::Reference, |it| {
        fs::write(it.reference(), "").unwrap();
    }),
    ("a name's record is missing", Kind::Reference, |it| {
        fs::remove_file(it.reference()).unwrap();
    }),
    ("a name points at nothing", Kind::Reference, |it| {
        let text = fs::read_to_string(it.reference()).unwrap();
        let none = digest_of(b"none");
        let text = text.replace(it.image().id.as_str(), none.as_str());
        let text = text.replace("a:1", "b:1");
        fs::write(it.data.join("refs/docker.io%2Flibrary%2Fb:1.json"), text).unwrap();
    }),
];

#[test]
fn a_sound_store_has_no_problem() {
    let Some(it) = Damaged::new() else { return };
    // A tree that waits for a container is nobody's yet.
    let ready = it.data.join("snapshots/ready-1");
    fs::create_dir(&ready).unwrap();
    for repair in [false, true] {
        assert_eq!(it.check(repair), []);
    }
    assert!(ready.exists());
    let users = Users {
        of_image: &|_| None,
        runs: &|_| false,
    };
    let report = it.scene.images.fsck(&users, false).unwrap();
    assert_eq!((report.images, report.blobs, report.layers), (1, 4, 2));
    it.assert_whole();
}

#[test]
fn damage_is_found_mended_and_healed_by_the_next_load() {
    for (what, kind, damage) in DAMAGES {
        let Some(it) = Damaged::new() else { return };
        damage(&it);
        let found = it.check(false);
        assert!(
            found.iter().any(|problem| problem.kind == kind),
            "{what}: {found:?}"
        );
        assert!(
            found
                .iter()
                .all(|problem| problem.outcome == Outcome::Found),
            "{what}: {found:?}"
        );
        let mended = it.check(true);
        assert!(
            mended.len() >= found.len()
                && mended
                    .iter()
                    .all(|problem| matches!(problem.outcome, Outcome::Repaired(_))),
            "{what}: {mended:?}"
        );
        assert_eq!(it.check(false), [], "{what}");
        it.scene.load(&it.archive).unwrap();
        it.assert_whole();
        let it = it.reopen();
        assert_eq!(it.check(false), [], "{what}");
        it.assert_whole();
        it.scene.check_outside();
    }
}

#[test]
fn damage_that_a_start_has_put_aside_is_mended() {
    for (what, _, damage) in DAMAGES {
        let Some(it) = Damaged::new() else { return };
        damage(&it);
        // Twice: what was put aside is not swept by the second start.
        let it = it.reopen().reopen();
        let found = it.check(false);
        let mended = it.check(true);
        assert!(
            mended
                .iter()
                .all(|problem| matches!(problem.outcome, Outcome::Repaired(_))),
            "{what}: {found:?} {mended:?}"
        );
        assert_eq!(it.check(false), [], "{what}");
        it.scene.load(&it.archive).unwrap();
        it.assert_whole();
        it.scene.check_outside();
    }
}

#[test]
fn a_lost_tree_comes_back_without_a_load() {
    for restart in [false, true] {
        let Some(it) = Damaged::new() else { return };
        fs::remove_dir_all(it.tree(0)).unwrap();
        let it = if restart { it.reopen() } else { it };
        it.check(true);
        it.assert_whole();
        assert_eq!(it.image().repo_tags, [NAME]);
    }
}

#[test]
fn an_image_without_its_archive_still_runs_and_says_so_when_it_is_saved() {
    let Some(it) = Damaged::new() else { return };
    spoil(&it.layer(1));
    let mended = it.check(true);
    assert_eq!(mended.len(), 1, "{mended:?}");
    assert!(mended[0].what.ends_with("; a:1 needs it"), "{mended:?}");
    let chain = it.image().chain.clone().unwrap();
    it.scene
        .images
        .snapshots
        .mount(&chain, true, false)
        .unwrap();
    let saved = it.scene.images.begin_save(&[NAME.to_owned()], &[]);
    assert!(matches!(saved, Err(Error::NotKept { .. })));
}

#[test]
fn leftovers_are_found_and_removed() {
    let Some(it) = Damaged::new() else { return };
    let content = it.data.join("content");
    let hex = digest_of(b"other").hex().to_owned();
    fs::create_dir(content.join("ingest/777")).unwrap();
    fs::write(content.join("ingest/777/data"), "x").unwrap();
    for path in [
        content.join("partial").join(&hex),
        content.join("blobs/sha256").join("nonsense"),
        content.join("partial/nonsense"),
    ] {
        fs::write(&path, "x").unwrap();
        age(&path);
    }
    // Of yesterday's pull: the next one goes on from it.
    let fresh = content.join("partial").join(digest_of(b"fresh").hex());
    fs::write(&fresh, "x").unwrap();
    fs::create_dir(it.data.join("snapshots/stray")).unwrap();
    assert_eq!(it.check(false).len(), 5);
    assert_eq!(it.check(true).len(), 5);
    assert_eq!(it.check(false), []);
    assert!(fresh.exists());
    it.assert_whole();
}

#[test]
fn what_a_pull_holds_stays() {
    let Some(it) = Damaged::new() else { return };
    let layer = it.image().layers[0].digest.clone();
    spoil(&it.layer(0));
    fs::remove_dir_all(it.tree(1)).unwrap();
    let keys = [layer.to_string(), it.image().chains[1].clone()];
    let pins = it.scene.images.layers.pin(&keys);
    for problem in it.check(true) {
        assert!(matches!(problem.outcome, Outcome::Left(_)), "{problem:?}");
    }
    assert!(it.layer(0).exists() && it.scene.images.snapshots.has(&keys[1]));
    drop(pins);
    it.check(true);
    assert_eq!(it.check(false), []);
}

#[test]
fn what_a_running_container_holds_stays() {
    let Some(it) = Damaged::new() else { return };
    let chain = it.image().chains[1].clone();
    it.scene
        .images
        .snapshots
        .prepare("container", Some(&chain))
        .unwrap();
    spoil(&it.config());
    fs::remove_dir_all(it.tree(0).join("fs")).unwrap();
    let user = |_: &Digest| {
        Some(InUse {
            container: "container".to_owned(),
            running: true,
        })
    };
    let found = it.check_beside(true, &user, &|key| key == "container");
    assert_eq!(found.len(), 2, "{found:?}");
    for problem in &found {
        assert!(
            matches!(&problem.outcome, Outcome::Left(why) if why.contains("running container")),
            "{problem:?}"
        );
    }
    assert!(it.tree(0).exists() && it.config().exists());
    // Once it has ended, it can be mended under the container, which keeps its own tree.
    it.check(true);
    assert_eq!(it.check(false), []);
    it.scene.load(&it.archive).unwrap();
    let mount = it.scene.images.snapshots.mount("container", true, false);
    let root = sys::root::RootDir::from_fd(mount.unwrap());
    let text = root.read_small(Path::new("lower"), 10).unwrap();
    assert_eq!(text, b"one");
}
