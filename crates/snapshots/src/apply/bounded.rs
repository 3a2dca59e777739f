//! A stream that may not be longer than allowed.

use std::io::{self, Read};

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
