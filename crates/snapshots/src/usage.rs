//! How much a tree holds.

use std::collections::HashSet;
use std::io;

use sys::root::{Dir, FileKind};

/// How deep a tree is measured: a container may nest directories until a recursion has no stack left.
const MAX_DEPTH: usize = 256;

/// Sum of the lengths of all files below a directory, several names of one file counted once.
pub(crate) fn of(dir: &Dir) -> io::Result<u64> {
    let mut seen = HashSet::new();
    let mut total = 0;
    add(dir, 0, &mut seen, &mut total)?;
    Ok(total)
}

fn add(dir: &Dir, depth: usize, seen: &mut HashSet<u64>, total: &mut u64) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    for (name, _) in dir.entries()? {
        let stat = match dir.stat(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        if stat.kind == FileKind::Directory {
            match dir.open_dir(&name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => add(&other?, depth + 1, seen, total)?,
            }
        } else if stat.links == 1 || seen.insert(stat.inode) {
            *total += stat.size;
        }
    }
    Ok(())
}
