//! Waiting for news awake, as long as that pays: to be woken up takes longer than most peers take to answer, the more so on
//! a virtual machine. As the kernel's own polling does where guests halt (Documentation/virt/kvm/halt-polling.rst).

use std::io;
use std::time::{Duration, Instant};

use sys::epoll::{Epoll, News};

/// How long news is waited for awake.
const AWAKE: Duration = Duration::from_micros(50);
/// One of so many waits, as a power of two, is awake where that never pays.
const RARELY: u32 = 10;

/// Whether to wait awake.
#[derive(Debug, Default)]
pub(crate) struct Polling {
    /// How often in a row it was in vain.
    vain: u32,
    /// So many waits from here are asleep.
    asleep: u32,
}

impl Polling {
    /// News, or none when the time is over. See [`Epoll::wait`].
    pub(crate) fn wait(
        &mut self,
        epoll: &Epoll,
        timeout: Option<Duration>,
    ) -> io::Result<Vec<News>> {
        if timeout.is_some_and(|limit| limit < AWAKE) {
            return epoll.wait(timeout);
        }
        if self.asleep > 0 {
            self.asleep -= 1;
            return epoll.wait(timeout);
        }
        let begun = Instant::now();
        loop {
            let news = epoll.wait(Some(Duration::ZERO))?;
            if !news.is_empty() {
                self.vain = 0;
                return Ok(news);
            }
            if begun.elapsed() >= AWAKE {
                break;
            }
        }
        self.vain = (self.vain + 1).min(RARELY);
        self.asleep = (1 << self.vain) - 1;
        epoll.wait(timeout)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use sys::epoll::Trigger;

    use super::*;

    #[test]
    fn it_waits_awake_as_long_as_that_pays() {
        let epoll = Epoll::new().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        epoll.add(reader.as_fd(), 7, Trigger::Readable).unwrap();
        let mut polling = Polling::default();
        let awake = |polling: &mut Polling, waits: u32| {
            let mut count = 0;
            for _ in 0..waits {
                count += u32::from(polling.asleep == 0);
                polling.wait(&epoll, Some(AWAKE)).unwrap();
            }
            count
        };
        assert_eq!(awake(&mut polling, 2048), 11, "seldom, where nothing comes");
        writer.write_all(b"x").unwrap();
        while polling.asleep > 0 {
            awake(&mut polling, 1);
        }
        assert_eq!(awake(&mut polling, 100), 100, "always, where it comes");
    }
}
