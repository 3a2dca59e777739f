//! Files of an archive that must be read whole before they can be understood.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use sys::root::{RootDir, sync_filesystem};

use crate::Error;

/// A scratch directory with numbered files. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    count: usize,
}

impl Spool {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, count: 0 }
    }

    /// Makes a file; its number is its name.
    pub fn create(&mut self) -> Result<(usize, File), Error> {
        let number = self.count;
        let path = self.path(number);
        let file =
            File::create_new(&path).map_err(Error::io("create", path.display().to_string()))?;
        self.count += 1;
        Ok((number, file))
    }

    /// Opens a file for reading.
    pub fn open(&self, number: usize) -> Result<File, Error> {
        let path = self.path(number);
        File::open(&path).map_err(Error::io("open", path.display().to_string()))
    }

    /// Brings all files onto the medium.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        RootDir::open_path(&self.dir)
            .and_then(|dir| sync_filesystem(dir.as_fd()))
            .map_err(Error::io("sync", self.dir.display().to_string()))
    }

    /// Gives a file another name.
    pub(crate) fn link(&self, number: usize, to: &Path) -> Result<(), Error> {
        std::fs::hard_link(self.path(number), to)
            .map_err(Error::io("link", to.display().to_string()))
    }

    fn path(&self, number: usize) -> PathBuf {
        self.dir.join(number.to_string())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        drop(store::remove_tree(&self.dir));
    }
}
