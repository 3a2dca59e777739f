//! epoll(7): thousands of descriptors, of which few have news.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::Timespec;

/// News of a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// What it was added with.
    pub token: u64,
    /// A read will not wait: bytes, end of file or an error.
    pub readable: bool,
    /// A write will not wait: room or an error.
    pub writable: bool,
}

/// When a descriptor is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// As long as something can be read.
    Readable,
    /// Whenever something more can be read or written: once each time.
    Edges,
}

/// A set of descriptors that are watched. One that is closed leaves it by itself, if it was not duplicated.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
}

/// News taken at once.
const BATCH: usize = 64;

impl Epoll {
    /// An empty set.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            fd: epoll::create(CreateFlags::CLOEXEC)?,
        })
    }

    /// Watches a descriptor from here on.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64, trigger: Trigger) -> io::Result<()> {
        let flags = match trigger {
            Trigger::Readable => EventFlags::IN,
            Trigger::Edges => EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET,
        };
        Ok(epoll::add(&self.fd, fd, EventData::new_u64(token), flags)?)
    }

    /// Watches it no longer.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.fd, fd)?)
    }

    /// Waits for news or until the time is over. A signal's arrival counts as none.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<Vec<News>> {
        let timeout = timeout.map(|limit| Timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; BATCH];
        let found = match epoll::wait(&self.fd, &mut events, timeout.as_ref()) {
            Ok((found, _)) => found,
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let broken = EventFlags::ERR | EventFlags::HUP | EventFlags::RDHUP;
        let news = found.iter().map(|event| {
            let (flags, data) = (event.flags, event.data);
            News {
                token: data.u64(),
                readable: flags.intersects(EventFlags::IN | broken),
                writable: flags.intersects(EventFlags::OUT | broken),
            }
        });
        Ok(news.collect())
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn tells_of_what_can_be_read_and_forgets_what_was_closed() {
        let epoll = Epoll::new().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        epoll.add(reader.as_fd(), 7, Trigger::Readable).unwrap();
        assert_eq!(epoll.wait(Some(Duration::ZERO)).unwrap(), Vec::new());
        writer.write_all(b"x").unwrap();
        let news = epoll.wait(None).unwrap();
        assert_eq!((news.len(), news[0].token, news[0].readable), (1, 7, true));
        drop(reader);
        assert_eq!(epoll.wait(Some(Duration::ZERO)).unwrap(), Vec::new());
    }
}
