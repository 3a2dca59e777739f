//! Small archives of files that are made here.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

/// Writes plain ustar entries owned by root, in the order given.
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
}

impl<W: Write> Writer<W> {
    /// Writes to the beginning of an archive.
    pub fn new(inner: W) -> Self {
        Self { inner }
    }

    /// Adds a directory.
    pub fn directory(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.header(
            &format!("{}/", path.trim_end_matches('/')),
            EntryType::Directory,
            0,
            mode,
        )
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
        self.header(path, EntryType::Regular, content.len() as u64, mode)?;
        self.inner.write_all(content)?;
        let padding = content.len().next_multiple_of(super::BLOCK) - content.len();
        self.inner.write_all(&[0; super::BLOCK][..padding])
    }

    /// Adds a file of a known length as it is read.
    pub fn stream(
        &mut self,
        path: &str,
        content: &mut dyn Read,
        size: u64,
        mode: u32,
    ) -> io::Result<()> {
        self.header(path, EntryType::Regular, size, mode)?;
        if io::copy(&mut content.take(size), &mut self.inner)? != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let block = super::BLOCK as u64;
        let padding = usize::try_from(size.next_multiple_of(block) - size).unwrap_or_default();
        self.inner.write_all(&[0; super::BLOCK][..padding])
    }

    /// Ends the archive.
    pub fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&[0; 2 * super::BLOCK])?;
        Ok(self.inner)
    }

    fn header(&mut self, path: &str, kind: EntryType, size: u64, mode: u32) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(path)?;
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(mode & 0o7777);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        self.inner.write_all(header.as_bytes())
    }
}
