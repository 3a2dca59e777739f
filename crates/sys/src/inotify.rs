//! News of changes to files.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify;

/// What is watched for; combine with `|`.
pub use rustix::fs::inotify::{ReadFlags as Found, WatchFlags as Watch};

/// A set of watches.
#[derive(Debug)]
pub struct Inotify {
    fd: OwnedFd,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The number [`Inotify::add`] gave.
    pub watch: i32,
    /// What happened.
    pub found: Found,
    /// Which file of a watched directory.
    pub name: Option<Vec<u8>>,
}

impl Inotify {
    /// An empty, non-blocking set.
    pub fn new() -> io::Result<Self> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        Ok(Self {
            fd: inotify::init(flags)?,
        })
    }

    /// Watches a file or directory.
    pub fn add(&self, path: &Path, watch: Watch) -> io::Result<i32> {
        Ok(inotify::add_watch(&self.fd, path, watch)?)
    }

    /// Watches no more.
    pub fn remove(&self, watch: i32) -> io::Result<()> {
        Ok(inotify::remove_watch(&self.fd, watch)?)
    }

    /// Takes all changes that have arrived; none is no error.
    pub fn read(&self) -> io::Result<Vec<Change>> {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.fd, &mut space);
        let mut changes = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => changes.push(Change {
                    watch: event.wd(),
                    found: event.events(),
                    name: event.file_name().map(|name| name.to_bytes().to_vec()),
                }),
                Err(rustix::io::Errno::AGAIN) => return Ok(changes),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for a change, or until the time is over; says whether there is one.
    pub fn wait(&self, timeout: std::time::Duration) -> io::Result<bool> {
        let mut poll = crate::poll::Poll::new();
        poll.add(self.fd.as_fd(), crate::poll::Interest::Read);
        Ok(poll.wait(Some(timeout))? > 0)
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl std::os::fd::AsRawFd for Inotify {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_of_changes() {
        let directory = tempfile::tempdir().expect("a directory");
        let inotify = Inotify::new().expect("a set");
        let watch = inotify
            .add(directory.path(), Watch::CREATE | Watch::MODIFY)
            .expect("watches");
        assert_eq!(inotify.read().expect("reads"), []);
        std::fs::File::create(directory.path().join("a")).expect("creates");
        assert!(
            inotify
                .wait(std::time::Duration::from_secs(1))
                .expect("waits")
        );
        let changes = inotify.read().expect("reads");
        assert_eq!(changes[0].watch, watch);
        assert_eq!(changes[0].name.as_deref(), Some(&b"a"[..]));
        assert!(changes[0].found.contains(Found::CREATE));
    }
}
