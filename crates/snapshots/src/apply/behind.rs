//! Writes to the medium while a layer is being unpacked.
//!
//! The kernel lets hundreds of megabytes lie before it begins by itself, and a tree is committed when all of it is on the
//! medium: begun early, most of the writing is done beside the unpacking. Nothing depends on it.

use std::os::fd::AsFd as _;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use sys::root::{Dir, sync_filesystem};

/// Bytes between two beginnings.
const STEP: u64 = 32 << 20;

/// A thread that has the filesystem written whenever enough has come.
#[derive(Debug)]
pub(super) struct Behind {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    waiting: u64,
}

impl Behind {
    /// For the filesystem that holds this directory. Without a thread nothing is written early.
    pub(super) fn new(directory: Dir) -> Self {
        let (wake, woken) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("write-behind".to_owned())
            .spawn(move || {
                for () in woken {
                    // Whoever commits syncs again, and says what is wrong.
                    drop(sync_filesystem(directory.as_fd()));
                }
            });
        Self {
            wake: Some(wake),
            thread: thread.ok(),
            waiting: 0,
        }
    }

    /// So many bytes more were written.
    pub(super) fn add(&mut self, bytes: u64) {
        self.waiting += bytes;
        if self.waiting < STEP {
            return;
        }
        self.waiting = 0;
        if let Some(wake) = &self.wake {
            // One that is still under way takes these along, or the next one does.
            wake.try_send(()).unwrap_or(());
        }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.wake.take();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
