//! An archive of images, spooled: its entries may come in any order, so all are kept until the last is read.
//!
//! Names in it are keys of a map, never paths of the host. Links are followed in that map only.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use content::{Content, Hasher, Spool, digest_of};
use oci::Digest;
use snapshots::archive::{Entry, Kind, Reader};
use sys::root::FileKind;

use crate::{Error, decompress};

/// How large an archive may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most entries.
    pub(crate) entries: usize,
    /// Most bytes of all files, after the archive's own compression.
    pub(crate) bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            bytes: 256 << 30,
        }
    }
}

/// Length of a piece that goes from thread to thread, and how many may wait.
const PIECE: u64 = 128 * 1024;
const PIECES: usize = 8;

/// Most links in a row.
const MAX_LINKS: usize = 16;

/// The files of an archive.
#[derive(Debug)]
pub(crate) struct Archive {
    spool: Spool,
    items: HashMap<PathBuf, Item>,
}

#[derive(Debug)]
enum Item {
    File {
        number: usize,
        size: u64,
        digest: Digest,
    },
    Link(PathBuf),
}

impl Archive {
    /// Reads an archive to its end.
    pub(crate) fn read(
        reader: &mut dyn Read,
        content: &Content,
        limits: Limits,
    ) -> Result<Self, Error> {
        let mut archive = Self {
            spool: content.spool()?,
            items: HashMap::new(),
        };
        let mut reader = Reader::new(decompress(reader).map_err(Error::io("read archive"))?);
        let mut left = limits.bytes;
        let mut count = 0;
        while let Some(entry) = reader.next_entry().map_err(Error::io("read archive"))? {
            count += 1;
            if count > limits.entries {
                return Err(Error::Archive(format!(
                    "it has more than {} entries",
                    limits.entries
                )));
            }
            left = left.checked_sub(entry.size).ok_or_else(|| {
                Error::Archive(format!("its files are larger than {} bytes", limits.bytes))
            })?;
            archive.add(&entry, &mut reader)?;
        }
        Ok(archive)
    }

    fn add(&mut self, entry: &Entry, content: &mut impl Read) -> Result<(), Error> {
        let path = clean(Path::new(""), &entry.path)?;
        let item = match &entry.kind {
            Kind::Node(FileKind::Regular) => {
                let (number, file) = self.spool.create()?;
                let copied = if entry.size > PIECE {
                    copy(content, file)
                } else {
                    copy_small(content, file)
                };
                let digest = copied.map_err(Error::io("read archive"))?;
                Item::File {
                    number,
                    size: entry.size,
                    digest,
                }
            }
            Kind::Symlink(target) => Item::Link(clean(
                path.parent().unwrap_or(Path::new("")),
                Path::new(target),
            )?),
            Kind::HardLink(target) => Item::Link(clean(Path::new(""), target)?),
            // Directories say nothing; devices and pipes have no place here and are not made.
            Kind::Node(_) => return Ok(()),
        };
        self.items.insert(path, item);
        Ok(())
    }

    /// Whether there is a file of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.items.contains_key(Path::new(name))
    }

    /// Opens a file.
    pub(crate) fn open(&self, name: &str) -> Result<File, Error> {
        let (number, _, _) = self.find(name)?;
        Ok(self.spool.open(number)?)
    }

    /// Reads a small file.
    pub(crate) fn document(&self, name: &str, max: u64) -> Result<Vec<u8>, Error> {
        let (number, size, _) = self.find(name)?;
        if size > max {
            return Err(Error::Archive(format!(
                "{name:?} is larger than {max} bytes"
            )));
        }
        let mut bytes = Vec::new();
        self.spool
            .open(number)?
            .read_to_end(&mut bytes)
            .map_err(Error::io(format!("read {name:?}")))?;
        Ok(bytes)
    }

    /// Checks that the blob of an OCI layout is what its name says, and returns that name.
    pub(crate) fn blob(&self, digest: &Digest, size: u64) -> Result<String, Error> {
        let name = format!("blobs/sha256/{}", digest.hex());
        let (_, found_size, found) = self.find(&name)?;
        if found != digest {
            return Err(content::Error::Mismatch {
                expected: digest.clone(),
                found: found.clone(),
            }
            .into());
        }
        if found_size != size {
            return Err(content::Error::Size {
                expected: size,
                found: found_size,
            }
            .into());
        }
        Ok(name)
    }

    /// Digest and length of a file.
    pub(crate) fn descriptor(&self, name: &str) -> Result<(Digest, u64), Error> {
        let (_, size, digest) = self.find(name)?;
        Ok((digest.clone(), size))
    }

    /// Keeps files as blobs.
    pub(crate) fn keep(&self, names: &[&str], content: &Content) -> Result<(), Error> {
        let mut files = Vec::new();
        for name in names {
            let (number, _, digest) = self.find(name)?;
            files.push((number, digest));
        }
        Ok(content.adopt(&self.spool, &files)?)
    }

    fn find(&self, name: &str) -> Result<(usize, u64, &Digest), Error> {
        let mut path = clean(Path::new(""), Path::new(name))?;
        for _ in 0..MAX_LINKS {
            match self.items.get(&path) {
                Some(Item::File {
                    number,
                    size,
                    digest,
                }) => return Ok((*number, *size, digest)),
                Some(Item::Link(target)) => path.clone_from(target),
                None => return Err(Error::Archive(format!("it has no file {name:?}"))),
            }
        }
        Err(Error::Archive(format!(
            "{name:?} is a link to a link without end"
        )))
    }
}

/// A path inside the archive, without `.` and `..`; an error when it leads out.
fn clean(base: &Path, path: &Path) -> Result<PathBuf, Error> {
    let outside = || {
        Error::Archive(format!(
            "the path {:?} leads out of it",
            path.to_string_lossy()
        ))
    };
    let mut cleaned = base.to_owned();
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir if cleaned.pop() => {}
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(outside());
            }
        }
    }
    Ok(cleaned)
}

/// Writes a file and hashes it, each on a thread of its own.
fn copy(from: &mut impl Read, mut to: File) -> io::Result<Digest> {
    thread::scope(|scope| {
        let (sender, pieces) = sync_channel::<Vec<u8>>(PIECES);
        let (spent, memory) = channel();
        let hashing = thread::Builder::new()
            .name("hash".to_owned())
            .spawn_scoped(scope, move || {
                let mut hasher = Hasher::default();
                for piece in pieces {
                    hasher.update(&piece);
                    // At the end nobody fills it again.
                    drop(spent.send(piece));
                }
                hasher.finish()
            })?;
        loop {
            let mut piece: Vec<u8> = memory.try_recv().unwrap_or_default();
            piece.clear();
            from.take(PIECE).read_to_end(&mut piece)?;
            if piece.is_empty() {
                break;
            }
            to.write_all(&piece)?;
            sender.send(piece).map_err(io::Error::other)?;
        }
        drop(sender);
        let ended = hashing.join();
        ended.map_err(|_| io::Error::other("the hashing thread has ended"))
    })
}

/// Writes and hashes a small file.
fn copy_small(from: &mut impl Read, mut to: File) -> io::Result<Digest> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    to.write_all(&bytes)?;
    Ok(digest_of(&bytes))
}
