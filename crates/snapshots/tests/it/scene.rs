//! A store of trees, a canary outside of it, and archives made entry by entry.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use snapshots::{Error, Limits, Snapshots};
use tar::{EntryType, Header};

/// Everything a test needs; checks at its end that the canary was not touched.
pub(crate) struct Scene {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) snapshots: Snapshots,
    canary: String,
}

impl Scene {
    /// Nothing without root.
    pub(crate) fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        if fs::metadata(dir.path()).unwrap().uid() != 0 {
            assert!(
                std::env::var_os("REQUIRE_ROOT").is_none(),
                "this test needs root"
            );
            return None;
        }
        fs::create_dir(dir.path().join("CANARY")).unwrap();
        fs::write(dir.path().join("CANARY/file"), "untouched").unwrap();
        let snapshots = Snapshots::open(&dir.path().join("data")).unwrap();
        let canary = describe(&dir.path().join("CANARY"), true);
        Some(Self {
            dir,
            snapshots,
            canary,
        })
    }

    /// Path of the canary, as an attacker on this machine would know it.
    pub(crate) fn canary(&self) -> PathBuf {
        self.dir.path().join("CANARY")
    }

    /// Applies layers one upon the other as `layer-0` and so on; returns the key of the last.
    pub(crate) fn stack(&self, layers: &[Vec<u8>]) -> Result<String, Error> {
        let mut parent: Option<String> = None;
        for (position, layer) in layers.iter().enumerate() {
            let key = format!("layer-{position}");
            self.apply(parent.as_deref(), layer, &Limits::default(), &key)?;
            parent = Some(key);
        }
        Ok(parent.unwrap())
    }

    pub(crate) fn apply(
        &self,
        parent: Option<&str>,
        layer: &[u8],
        limits: &Limits,
        key: &str,
    ) -> Result<(), Error> {
        self.snapshots.prepare("extract", parent)?;
        let mut reader = layer;
        let applied = self.snapshots.apply("extract", &mut reader, limits);
        let done = applied.and_then(|applied| self.snapshots.commit("extract", key, applied.size));
        self.snapshots.remove("extract")?;
        self.snapshots.reap()?;
        done
    }

    /// Mounts a tree read-only and describes all in it.
    pub(crate) fn view(&self, key: &str) -> String {
        use std::os::fd::AsRawFd as _;
        let mount = self.snapshots.mount(key, true, false).unwrap();
        describe(
            Path::new(&format!("/proc/self/fd/{}/.", mount.as_raw_fd())),
            false,
        )
    }

    pub(crate) fn check(&self) {
        assert_eq!(describe(&self.canary(), true), self.canary);
        assert!(!self.snapshots.has("extract"));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.dir.path().to_str().unwrap()));
        let mut names: Vec<_> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["CANARY", "data"]);
        for entry in fs::read_dir(self.dir.path().join("data/snapshots")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                name == ".empty" || name.starts_with("layer-") || name.starts_with("box"),
                "{name}"
            );
        }
    }
}

/// Every entry below a directory with its attributes and content, sorted; names of one inode are grouped.
pub(crate) fn describe(root: &Path, ctime: bool) -> String {
    let mut lines = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    let mut pending = vec![(root.to_owned(), PathBuf::from("."))];
    while let Some((path, name)) = pending.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let mut line = format!("{:o} {}:{} ", stat.mode(), stat.uid(), stat.gid());
        line += &format!("{}.{:09} ", stat.mtime(), stat.mtime_nsec());
        if ctime {
            line += &format!("{}.{:09} ", stat.ctime(), stat.ctime_nsec());
        }
        if stat.is_dir() {
            for entry in fs::read_dir(&path).unwrap() {
                let entry = entry.unwrap();
                pending.push((entry.path(), name.join(entry.file_name())));
            }
        } else if stat.is_symlink() {
            line += &format!("-> {:?}", fs::read_link(&path).unwrap());
        } else if stat.is_file() {
            line += &format!("{} {:?}", stat.size(), fs::read(&path).unwrap());
        } else {
            line += &format!("{:x}", stat.rdev());
        }
        if !stat.is_dir() && stat.nlink() > 1 {
            inodes
                .entry(stat.ino())
                .or_insert_with(Vec::new)
                .push(name.clone());
        }
        lines.insert(name, line);
    }
    let mut groups: Vec<Vec<PathBuf>> = inodes.into_values().collect();
    groups.iter_mut().for_each(|group| group.sort());
    groups.sort();
    let lines: Vec<String> = lines
        .into_iter()
        .map(|(name, line)| format!("{} {line}", name.display()))
        .collect();
    format!("{}\nlinks {groups:?}", lines.join("\n"))
}

/// An archive in the making.
pub(crate) struct Layer(Vec<u8>);

impl Layer {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn entry(
        mut self,
        kind: EntryType,
        path: &str,
        link: &str,
        content: &[u8],
        mode: u32,
    ) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_600_000_000);
        header
            .set_device_major(u32::from(kind == EntryType::Char))
            .unwrap();
        header
            .set_device_minor(if kind == EntryType::Char { 3 } else { 0 })
            .unwrap();
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn dir(self, path: &str, mode: u32) -> Self {
        self.entry(EntryType::Directory, path, "", b"", mode)
    }

    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, path, "", content.as_bytes(), 0o644)
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, path, target, b"", 0o777)
    }

    pub(crate) fn hard(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Link, path, target, b"", 0o644)
    }

    /// A file whose name is nearly all directories, which nothing else brings.
    pub(crate) fn deep(self, top: &str, depth: usize, name: &str) -> Self {
        let path = format!("{top}/{}{name}", "d/".repeat(depth));
        self.entry(EntryType::GNULongName, "long", "", path.as_bytes(), 0)
            .file("short", "")
    }

    pub(crate) fn done(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}
