//! Archives of whatever bytes: an error or a tree, and nothing outside of it.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use snapshots::{Limits, Snapshots};

pub(crate) const WORDS: &[&str] = &[
    "ustar\0",
    "ustar  \0",
    "../",
    "/",
    ".wh.",
    ".wh..wh..opq",
    "path=",
    "linkpath=",
    "size=",
    "mtime=",
    "SCHILY.xattr.",
    "GNU.sparse.",
    "30 mtime=1350244992.023960108\n",
    "7777777",
    "././@LongLink",
    "L",
    "K",
    "x",
    "g",
    "5",
    "2",
    "1",
    "3",
    "\u{80}\0\0\0",
    "trusted.overlay.opaque",
    "security.capability",
];

/// No archive here is larger, however it is packed.
const LIMITS: Limits = Limits {
    entries: 1000,
    bytes: 1 << 20,
};

/// A store of trees, and a canary beside it.
struct Scene {
    directory: tempfile::TempDir,
    snapshots: Snapshots,
}

thread_local! {
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("create a directory");
        fs::write(directory.path().join("canary"), "untouched").expect("write the canary");
        let snapshots = Snapshots::open(&directory.path().join("data")).expect("open the store");
        Self {
            directory,
            snapshots,
        }
    }

    fn check(&self) {
        let canary = fs::read_to_string(self.directory.path().join("canary"));
        assert_eq!(canary.ok().as_deref(), Some("untouched"), "the canary");
        let names = |path: &Path| {
            let entries = fs::read_dir(path).expect("read a directory");
            let mut names: Vec<String> = entries
                .map(|entry| {
                    entry
                        .expect("an entry")
                        .file_name()
                        .to_string_lossy()
                        .into_owned()
                })
                .filter(|name| name != ".empty")
                .collect();
            names.sort();
            names
        };
        assert_eq!(
            names(self.directory.path()),
            ["canary", "data"],
            "beside it"
        );
        let left = names(&self.directory.path().join("data/snapshots"));
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// Unpacks an archive; `look` is shown the tree.
pub(crate) fn unpacked(
    archive: &[u8],
    look: impl FnOnce(&Path) -> String,
) -> Result<String, String> {
    SCENE.with_borrow_mut(|scene| {
        let scene = scene.get_or_insert_with(Scene::new);
        let trees = &scene.snapshots;
        trees.prepare("fuzz", None).expect("prepare a tree");
        let mut reader = archive;
        let outcome = trees
            .apply("fuzz", &mut reader, &LIMITS)
            .map_err(|error| error.to_string())
            .map(|_| look(&tree(scene.directory.path())));
        trees.remove("fuzz").expect("remove the tree");
        trees.reap().expect("reap what was removed");
        scene.check();
        outcome
    })
}

fn tree(directory: &Path) -> PathBuf {
    directory.join("data/snapshots/fuzz/fs")
}

pub(crate) fn run(input: &[u8]) -> String {
    unpacked(&summed(input), |_| "a tree".to_owned()).unwrap_or_else(|error| error)
}

/// The same with true sums in its headers, as far as they stand where a plain reading finds them: else no mutation would
/// come farther than to the first sum.
fn summed(input: &[u8]) -> Vec<u8> {
    let mut archive = input.to_vec();
    let mut at = 0;
    while at + 512 <= archive.len() {
        let header = &mut archive[at..at + 512];
        if header.iter().all(|byte| *byte == 0) {
            at += 512;
            continue;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = std::str::from_utf8(&header[124..135])
            .ok()
            .and_then(|digits| usize::from_str_radix(digits.trim(), 8).ok())
            .unwrap_or(0);
        at += 512 + size.next_multiple_of(512);
    }
    archive
}
