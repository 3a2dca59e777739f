//! Tar archives as streams: headers read with bounds, sizes taken from one place only, nothing unpacked.
//!
//! Understands v7, ustar, GNU long names and PAX records. Sparse files are refused: no image builder writes them, and
//! their sizes are the oldest trick there is.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use sys::root::{FileKind, Timestamp};
use tar::{EntryType, Header};

mod pax;
mod writer;

pub use writer::Writer;

const BLOCK: usize = 512;
/// Longest path or target of a link: the kernel's own limit.
const MAX_NAME: u64 = 4096;
/// Most bytes of PAX records of one entry.
const MAX_PAX: u64 = 1 << 20;

/// What an entry makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, a directory, a device or a pipe.
    Node(FileKind),
    /// A symbolic link with this text.
    Symlink(OsString),
    /// A further name of this entry.
    HardLink(PathBuf),
}

/// One entry of an archive, as it says itself; nothing in it is to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Length of its content.
    pub size: u64,
    /// Last change.
    pub modified: Timestamp,
    /// Extended attributes.
    pub xattrs: Vec<(OsString, Vec<u8>)>,
}

/// Reads an archive entry by entry; between two entries, [`Read`] gives the content of the last one.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    /// Content of the current entry that was not read.
    left: u64,
    /// Bytes that fill its last block.
    padding: u64,
    ended: bool,
}

/// What comes before an entry and belongs to it.
#[derive(Default)]
struct Prefix {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: pax::Records,
}

impl<R: Read> Reader<R> {
    /// Reads from the beginning of an archive.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            left: 0,
            padding: 0,
            ended: false,
        }
    }

    /// The next entry; what was not read of the one before is skipped.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let mut prefix = Prefix::default();
        let mut pending = false;
        loop {
            self.skip_content()?;
            let Some(header) = self.header()? else {
                return if pending {
                    Err(invalid("the archive ends after an extended header"))
                } else {
                    Ok(None)
                };
            };
            let kind = header.entry_type();
            let size = header
                .entry_size()
                .map_err(|_| invalid("an entry has a damaged size"))?;
            pending = true;
            match kind {
                EntryType::GNULongName => prefix.path = Some(self.name(size)?),
                EntryType::GNULongLink => prefix.link = Some(self.name(size)?),
                EntryType::XHeader => {
                    prefix.pax = pax::Records::parse(&self.extension(size, MAX_PAX)?)?;
                }
                // Remarks about the whole archive (git writes its commit there); no builder puts more into it.
                EntryType::XGlobalHeader => drop(self.extension(size, MAX_PAX)?),
                EntryType::GNUSparse => return Err(invalid("sparse files are not supported")),
                _ => return self.entry(&header, prefix).map(Some),
            }
        }
    }

    /// Reads what follows the last entry.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn entry(&mut self, header: &Header, prefix: Prefix) -> io::Result<Entry> {
        let pax = prefix.pax;
        let kind = header.entry_type();
        let path = pax
            .path
            .or(prefix.path)
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let link = pax
            .link
            .or(prefix.link)
            .unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
        if path.contains(&0)
            || link.contains(&0)
            || path.len() as u64 > MAX_NAME
            || link.len() as u64 > MAX_NAME
        {
            return Err(invalid(
                "an entry has a name with a NUL or above 4096 bytes",
            ));
        }
        let old = header.as_old();
        let size = pax
            .size
            .map_or_else(|| number(&old.size, header.entry_size(), "size"), Ok)?;
        let device = || -> io::Result<(u32, u32)> {
            let (majors, minors) = match (header.as_ustar(), header.as_gnu()) {
                (Some(ustar), _) => (ustar.dev_major, ustar.dev_minor),
                (_, Some(gnu)) => (gnu.dev_major, gnu.dev_minor),
                _ => return Ok((0, 0)),
            };
            let part =
                |part: io::Result<Option<u32>>| part.map(|part| u64::from(part.unwrap_or(0)));
            let major = number(&majors, part(header.device_major()), "device")?;
            let minor = number(&minors, part(header.device_minor()), "device")?;
            Ok((
                u32::try_from(major).unwrap_or(0),
                u32::try_from(minor).unwrap_or(0),
            ))
        };
        let has_content = matches!(kind, EntryType::Regular | EntryType::Continuous);
        let kind = match kind {
            EntryType::Regular if path.ends_with(b"/") => Kind::Node(FileKind::Directory),
            EntryType::Regular | EntryType::Continuous => Kind::Node(FileKind::Regular),
            EntryType::Directory => Kind::Node(FileKind::Directory),
            EntryType::Symlink => Kind::Symlink(OsString::from_vec(link)),
            EntryType::Link => Kind::HardLink(PathBuf::from(OsString::from_vec(link))),
            EntryType::Fifo => Kind::Node(FileKind::Fifo),
            EntryType::Char => {
                device().map(|(major, minor)| Kind::Node(FileKind::Character { major, minor }))?
            }
            EntryType::Block => {
                device().map(|(major, minor)| Kind::Node(FileKind::Block { major, minor }))?
            }
            other => {
                return Err(invalid(&format!(
                    "an entry has the unknown type {:?}",
                    char::from(other.as_byte())
                )));
            }
        };
        // Go and GNU tar give no content to a header-only entry, whatever its size says: one reader may not see
        // entries that another skips.
        self.expect(if has_content { size } else { 0 })?;
        let mode = number(&old.mode, header.mode().map(u64::from), "mode")? & 0o7777;
        let modified = match pax.modified {
            Some(time) => time,
            None => Timestamp {
                seconds: number(&old.mtime, header.mtime(), "time")?.cast_signed(),
                nanoseconds: 0,
            },
        };
        Ok(Entry {
            path: PathBuf::from(OsString::from_vec(path)),
            kind,
            mode: u32::try_from(mode).unwrap_or(0),
            uid: pax
                .uid
                .map_or_else(|| number(&old.uid, header.uid(), "owner"), Ok)?,
            gid: pax
                .gid
                .map_or_else(|| number(&old.gid, header.gid(), "group"), Ok)?,
            size: self.left,
            modified,
            xattrs: pax.xattrs,
        })
    }

    /// Reads a header with a right checksum; nothing at the end of the archive.
    fn header(&mut self) -> io::Result<Option<Header>> {
        if self.ended {
            return Ok(None);
        }
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? {
            self.ended = true;
            return Ok(None);
        }
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            let mut second = [0; BLOCK];
            if self.block(&mut second)? && second.iter().any(|byte| *byte != 0) {
                return Err(invalid("data follows an empty block"));
            }
            self.ended = true;
            return Ok(None);
        }
        let sum: u32 = header
            .as_bytes()
            .iter()
            .enumerate()
            .map(|(position, byte)| {
                if (148..156).contains(&position) {
                    32
                } else {
                    u32::from(*byte)
                }
            })
            .sum();
        if header.cksum().ok() != Some(sum) {
            return Err(invalid(
                "a header has a wrong checksum, or this is no tar archive",
            ));
        }
        Ok(Some(header))
    }

    /// Fills a block; false when the stream is at its end.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(truncated()),
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn expect(&mut self, size: u64) -> io::Result<()> {
        if size > u64::MAX / 4 {
            return Err(invalid("an entry has an impossible size"));
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(())
    }

    fn extension(&mut self, size: u64, max: u64) -> io::Result<Vec<u8>> {
        if size > max {
            return Err(invalid(&format!(
                "an extended header is larger than {max} bytes"
            )));
        }
        self.expect(size)?;
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn name(&mut self, size: u64) -> io::Result<Vec<u8>> {
        let mut name = self.extension(size, MAX_NAME + 1)?;
        if let Some(end) = name.iter().position(|byte| *byte == 0) {
            name.truncate(end);
        }
        Ok(name)
    }

    fn skip_content(&mut self) -> io::Result<()> {
        let mut rest = std::mem::take(&mut self.left) + std::mem::take(&mut self.padding);
        let mut buffer = [0; 16 * 1024];
        while rest > 0 {
            let wanted = usize::try_from(rest)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            match self.inner.read(&mut buffer[..wanted]) {
                Ok(0) => return Err(truncated()),
                Ok(length) => rest -= length as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let length = self.inner.read(&mut buffer[..wanted])?;
        if length == 0 {
            return Err(truncated());
        }
        self.left -= length as u64;
        Ok(length)
    }
}

/// A numeric field; an empty one is zero, as Go reads it.
fn number(field: &[u8], value: io::Result<u64>, what: &str) -> io::Result<u64> {
    if field.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Ok(0);
    }
    value.map_err(|_| invalid(&format!("an entry has a damaged {what}")))
}

fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is truncated")
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests;
