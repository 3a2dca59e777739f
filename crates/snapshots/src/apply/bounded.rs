//! What an archive may not exceed: its length, what it makes, and what of it is kept in memory.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Unpack;
use crate::Error;

/// Most bytes of paths that are kept until a layer's end: with half a million directories it is a fraction of that.
const PATHS: usize = 128 << 20;
/// The same of a layer that is unpacked alone: all layers of an image may wait with theirs.
const PATHS_ALONE: usize = 4 << 20;

impl Unpack<'_> {
    /// Counts an entry, or a directory on the way to one.
    pub(super) fn count(&mut self) -> Result<(), Error> {
        self.counted += 1;
        if self.counted <= self.limits.entries {
            return Ok(());
        }
        Err(Error::Layer(format!(
            "it has more than {} entries and directories",
            self.limits.entries
        )))
    }

    /// Counts a path that is kept until the end. A layer that is unpacked alone is given up with too many.
    pub(super) fn keep(&mut self, path: &Path) -> Result<(), Error> {
        self.kept += path.as_os_str().len() + size_of::<PathBuf>();
        match self.alone {
            Some(_) if self.kept > PATHS_ALONE => Err(self.depends()),
            None if self.kept > PATHS => Err(Error::Layer(format!(
                "the names of its directories have more than {PATHS} bytes"
            ))),
            _ => Ok(()),
        }
    }
}

/// A stream with a limit, beyond which it is an error to read.
pub(super) struct Bounded<'a> {
    pub(super) inner: &'a mut dyn Read,
    pub(super) left: u64,
    pub(super) max: u64,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(length as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it is larger than {} bytes", self.max),
            )
        })?;
        Ok(length)
    }
}
