//! A file that grows while it is read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// How much of a file has come. Written by one, waited for by many.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    file: Option<Arc<File>>,
    length: u64,
    end: Option<End>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All of it is there.
    Complete,
    /// No more will come, or what came is worth nothing.
    Broken,
}

impl Arrival {
    /// The file, and how much of it is there already.
    pub(super) fn begin(&self, file: File, length: u64) {
        self.change(|state| {
            state.file = Some(Arc::new(file));
            state.length = length;
        });
    }

    /// More has been written.
    pub(super) fn grow(&self, more: u64) {
        self.change(|state| state.length += more);
    }

    /// The end; the first one counts.
    pub(super) fn end(&self, end: End) {
        self.change(|state| {
            state.end.get_or_insert(end);
        });
    }

    /// Lets readers see that they have been abandoned.
    pub(super) fn wake(&self) {
        self.change(|_| {});
    }

    /// Whether what came is worth nothing.
    pub(super) fn is_broken(&self) -> bool {
        let lock = self.state.lock();
        lock.unwrap_or_else(PoisonError::into_inner).end == Some(End::Broken)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

/// Reads such a file from its beginning to its end.
#[derive(Debug)]
pub(super) struct Follow {
    arrival: Arc<Arrival>,
    position: u64,
    /// Set when nobody wants what is read any more. Whoever sets it also wakes the arrival's readers.
    abandoned: Arc<AtomicBool>,
}

impl Follow {
    pub(super) fn new(arrival: Arc<Arrival>, abandoned: Arc<AtomicBool>) -> Self {
        Self {
            arrival,
            position: 0,
            abandoned,
        }
    }
}

impl Read for Follow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let lock = self.arrival.state.lock();
        let mut state = lock.unwrap_or_else(PoisonError::into_inner);
        let (file, there) = loop {
            if self.abandoned.load(Ordering::Relaxed) || state.end == Some(End::Broken) {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the download was given up",
                ));
            }
            match &state.file {
                Some(file) if state.length > self.position => {
                    break (Arc::clone(file), state.length - self.position);
                }
                _ if state.end.is_some() => return Ok(0),
                _ => {}
            }
            let waited = self.arrival.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        let most = usize::try_from(there).map_or(buffer.len(), |there| there.min(buffer.len()));
        let length = file.read_at(&mut buffer[..most], self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_reader_waits_for_what_comes_and_ends_with_it() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let arrival = Arc::new(Arrival::default());
        let mut follow = Follow::new(arrival.clone(), Arc::default());
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let mut text = String::new();
                follow.read_to_string(&mut text).map(|_| text)
            });
            file.write_all(b"one two").unwrap();
            arrival.begin(file.reopen().unwrap(), 3);
            arrival.grow(4);
            arrival.end(End::Complete);
            assert_eq!(reading.join().unwrap().unwrap(), "one two");
        });
    }

    #[test]
    fn a_reader_that_is_abandoned_ends_at_once_though_its_download_goes_on() {
        let (arrival, abandoned) = (
            Arc::new(Arrival::default()),
            Arc::new(AtomicBool::new(false)),
        );
        let mut follow = Follow::new(arrival.clone(), abandoned.clone());
        let begun = std::time::Instant::now();
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || follow.read(&mut [0; 8]).is_err());
            std::thread::sleep(std::time::Duration::from_millis(50));
            abandoned.store(true, Ordering::Relaxed);
            arrival.wake();
            assert!(reading.join().unwrap());
        });
        assert!(begun.elapsed() < std::time::Duration::from_millis(500));
        assert!(!arrival.is_broken());
    }

    #[test]
    fn a_download_that_breaks_is_an_error_for_its_readers() {
        let arrival = Arc::new(Arrival::default());
        let mut follow = Follow::new(arrival.clone(), Arc::default());
        arrival.end(End::Broken);
        assert!(follow.read(&mut [0; 8]).is_err());
    }
}
