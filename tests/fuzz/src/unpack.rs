//! Harmless archives: the tree is the one that GNU tar makes.
//!
//! The input is no archive but a recipe for one, so that every mutation of it is well-formed: five bytes an entry choose
//! its kind, path, target, mode and content. What GNU tar refuses, and what both are free in, is not compared.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tar::{EntryType, Header};

use crate::archive::unpacked;

/// Paths that lead nowhere else. Each may be a file, a directory and a link in turn.
const PATHS: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "a/a",
    "a/b",
    "b/a",
    "b/c/d",
    "./a",
    "./c/./e",
    "f g",
    "\u{e9}/\u{df}",
    "c//x",
    "d/",
    "e.d",
    "a/b/c",
    "long/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789/0123456789",
];
const MODES: &[u32] = &[0o644, 0o755, 0o600, 0o4755, 0o2755, 0o1777, 0, 0o7777];
const CONTENTS: &[&str] = &["", "x", "some text\n", "0123456789abcdef"];

pub(crate) fn run(input: &[u8]) -> String {
    let archive = archive(input);
    let theirs = tempfile::tempdir().expect("create a directory");
    if !tar(&archive, theirs.path()) {
        return "GNU tar refuses it".to_owned();
    }
    let theirs = describe(theirs.path());
    let ours = unpacked(&archive, describe)
        .unwrap_or_else(|error| panic!("GNU tar takes what is refused here: {error}"));
    assert_eq!(ours, theirs, "ours, and GNU tar's");
    format!("{} entries", "+".repeat(ours.lines().count().min(12)))
}

/// Makes the archive.
fn archive(recipe: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    for entry in recipe.chunks_exact(5).take(24) {
        let [kind, path, target, mode, content] = entry else {
            continue;
        };
        let pick = |list: &'static [&'static str], byte: &u8| list[usize::from(*byte) % list.len()];
        let (path, target) = (pick(PATHS, path), pick(PATHS, target));
        let mode = MODES[usize::from(*mode) % MODES.len()];
        let content = pick(CONTENTS, content);
        let (kind, target, content) = match kind % 8 {
            0..=2 => (EntryType::Regular, "", content),
            3 | 4 => (EntryType::Directory, "", ""),
            5 | 6 => (EntryType::Symlink, target, ""),
            _ => (EntryType::Link, target, ""),
        };
        let mut header = Header::new_gnu();
        if path.len() > 100 {
            long_name(&mut archive, path);
        }
        let name = &path.as_bytes()[..path.len().min(100)];
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        let target = &target.as_bytes()[..target.len().min(100)];
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(if mode == 0o600 { 7 } else { 0 });
        header.set_gid(8);
        header.set_mtime(1_500_000_000 + u64::from(mode));
        push(&mut archive, header, content.as_bytes());
    }
    archive.extend_from_slice(&[0; 1024]);
    archive
}

/// GNU's way for names that are longer than a header has room for.
fn long_name(archive: &mut Vec<u8>, path: &str) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..13].copy_from_slice(b"././@LongLink");
    header.set_entry_type(EntryType::GNULongName);
    push(archive, header, format!("{path}\0").as_bytes());
}

fn push(archive: &mut Vec<u8>, mut header: Header, content: &[u8]) {
    header.set_size(content.len() as u64);
    header.set_cksum();
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

/// Lets GNU tar unpack it; false where it complains of anything.
fn tar(archive: &[u8], directory: &Path) -> bool {
    let mut child = Command::new("tar")
        .args([
            "--extract",
            "--preserve-permissions",
            "--same-owner",
            "--numeric-owner",
            "--directory",
        ])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start tar");
    let mut stdin = child.stdin.take().expect("a pipe");
    // One that gives up closes the pipe.
    drop(stdin.write_all(archive));
    drop(stdin);
    child.wait().expect("tar ends").success()
}

/// Every entry with its attributes, and which names are of one file. Not the times of directories: GNU tar sets them when
/// it leaves a directory, and changes it again through a link.
fn describe(root: &Path) -> String {
    let (mut lines, mut inodes) = (Vec::new(), BTreeMap::<u64, Vec<PathBuf>>::new());
    let mut pending = vec![PathBuf::new()];
    while let Some(name) = pending.pop() {
        let path = root.join(&name);
        let stat = fs::symlink_metadata(&path).expect("an entry's attributes");
        let mut line = format!("{:o} {}:{}", stat.mode(), stat.uid(), stat.gid());
        if !stat.is_dir() {
            line += &format!(" {}", stat.mtime());
        }
        if stat.is_dir() {
            for entry in fs::read_dir(&path).expect("read a directory") {
                pending.push(name.join(entry.expect("an entry").file_name()));
            }
        } else if stat.is_symlink() {
            let target = fs::read_link(&path).expect("a link's text");
            line += &format!(" -> {}", target.display());
        } else {
            line += &format!(" {:?}", fs::read(&path).expect("a file's content"));
        }
        if !stat.is_dir() && stat.nlink() > 1 {
            inodes.entry(stat.ino()).or_default().push(name.clone());
        }
        if name != Path::new("") {
            lines.push(format!("{} {line}", name.display()));
        }
    }
    lines.sort();
    let mut groups: Vec<_> = inodes.into_values().collect();
    for group in &mut groups {
        group.sort();
    }
    groups.sort();
    lines.push(format!("links {groups:?}"));
    lines.join("\n")
}
