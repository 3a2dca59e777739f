//! Downloads of blobs, each once however many pulls want it, and continued where the last one broke off.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use content::{Content, Partial};
use oci::Digest;
use oci::image::Descriptor;
use registry::client::{Next, Repository};
use tokio::sync::{Semaphore, mpsc, watch};

use super::arrival::{Arrival, End};
use super::blocking;
use crate::Error;

/// Pieces that may wait for the disk.
const PIECES: usize = 16;

/// All downloads that run.
#[derive(Debug)]
pub(super) struct Downloads {
    running: Arc<Mutex<HashMap<Digest, Running>>>,
    slots: Arc<Semaphore>,
}

#[derive(Debug)]
struct Running {
    interest: Weak<Interest>,
    arrival: Arc<Arrival>,
    state: watch::Receiver<State>,
}

/// Keeps a download alive. When the last one is dropped, the download ends.
#[derive(Debug)]
struct Interest {
    _alive: watch::Sender<()>,
}

/// How far a download is.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Nothing to tell yet.
    Begun,
    /// Others come first.
    Waiting,
    /// So many bytes have come.
    Running(u64),
    /// The connection broke; it is taken up again in so many seconds.
    Retrying(u64),
    /// All have come.
    Verifying,
    /// The blob is there.
    Done,
    /// It will not come.
    Failed(Arc<Error>),
}

/// A download that somebody waits for.
#[derive(Debug)]
pub(super) struct Download {
    pub(super) state: watch::Receiver<State>,
    pub(super) arrival: Arc<Arrival>,
    _interest: Arc<Interest>,
}

impl Downloads {
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            running: Arc::default(),
            slots: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// Downloads a blob, or waits for whoever does.
    pub(super) async fn get(
        &self,
        content: &Arc<Content>,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Download {
        loop {
            let mut ending = {
                let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
                match running.get(&blob.digest) {
                    None => return self.begin(&mut running, content, repository, blob),
                    Some(download) => match download.interest.upgrade() {
                        Some(interest) => {
                            return Download {
                                state: download.state.clone(),
                                arrival: Arc::clone(&download.arrival),
                                _interest: interest,
                            };
                        }
                        None => download.state.clone(),
                    },
                }
            };
            // Given up by all, and not yet at its end: its file is still being written.
            while ending.changed().await.is_ok() {}
        }
    }

    fn begin(
        &self,
        running: &mut HashMap<Digest, Running>,
        content: &Arc<Content>,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Download {
        let (state, watched) = watch::channel(State::Begun);
        let (alive, wanted) = watch::channel(());
        let interest = Arc::new(Interest { _alive: alive });
        let arrival = Arc::new(Arrival::default());
        running.insert(
            blob.digest.clone(),
            Running {
                interest: Arc::downgrade(&interest),
                arrival: Arc::clone(&arrival),
                state: watched.clone(),
            },
        );
        let fetch = Fetch {
            content: Arc::clone(content),
            repository: repository.clone(),
            blob: blob.clone(),
            slots: Arc::clone(&self.slots),
            arrival: Arc::clone(&arrival),
            state,
            wanted,
        };
        let all = Arc::clone(&self.running);
        tokio::spawn(async move {
            let result = fetch.run().await;
            let (end, state) = match result {
                Ok(()) => (End::Complete, State::Done),
                Err(error) => (End::Broken, State::Failed(Arc::new(error))),
            };
            fetch.arrival.end(end);
            // Out of the table before its end is known: whoever finds it there may still wait for it.
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&fetch.blob.digest);
            fetch.state.send_replace(state);
        });
        Download {
            state: watched,
            arrival,
            _interest: interest,
        }
    }
}

impl Download {
    /// Waits until the blob is there.
    pub(super) async fn done(&mut self) -> Result<(), Error> {
        let state = self
            .state
            .wait_for(|state| matches!(state, State::Done | State::Failed(_)))
            .await;
        match state.as_deref() {
            Ok(State::Failed(error)) => Err(Error::Shared(Arc::clone(error))),
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Cancelled),
        }
    }

    /// Waits until the first bytes may come.
    pub(super) async fn begun(&mut self) {
        // A download that has ended without a word has a state that says so.
        drop(
            self.state
                .wait_for(|state| !matches!(state, State::Begun | State::Waiting))
                .await,
        );
    }
}

/// One download.
struct Fetch {
    content: Arc<Content>,
    repository: Repository,
    blob: Descriptor,
    slots: Arc<Semaphore>,
    arrival: Arc<Arrival>,
    state: watch::Sender<State>,
    wanted: watch::Receiver<()>,
}

impl Drop for Fetch {
    fn drop(&mut self) {
        // A download that is cut off with its runtime must not leave its readers waiting. The first end counts.
        self.arrival.end(End::Broken);
    }
}

impl Fetch {
    async fn run(&self) -> Result<(), Error> {
        let mut wanted = self.wanted.clone();
        let _slot = match self.slots.try_acquire() {
            Ok(slot) => slot,
            Err(_) => {
                self.state.send_replace(State::Waiting);
                tokio::select! {
                    slot = self.slots.acquire() => slot.expect("the semaphore is never closed"),
                    _ = wanted.changed() => return Err(Error::Cancelled),
                }
            }
        };
        let digest = &self.blob.digest;
        if self.content.has(digest)? {
            let (content, digest) = (Arc::clone(&self.content), digest.clone());
            let file = blocking(move || content.open_blob(&digest)).await?;
            self.arrival.begin(file, self.blob.size);
            return Ok(());
        }
        let continued = match self.fetch().await {
            // What an earlier attempt left may be damaged: a power cut keeps the length and loses the bytes.
            Err((true, Error::Content(content::Error::Mismatch { .. }))) => true,
            other => return other.map_err(|(_, error)| error),
        };
        debug_assert!(continued);
        self.arrival.end(End::Broken);
        self.fetch().await.map_err(|(_, error)| error)
    }

    /// Fetches what is missing; with an error comes whether there was something before.
    async fn fetch(&self) -> Result<(), (bool, Error)> {
        let (content, blob) = (Arc::clone(&self.content), self.blob.clone());
        let partial = blocking(move || Partial::open(&content, &blob.digest, blob.size)).await;
        let partial = partial.map_err(|error| (false, error.into()))?;
        let before = partial.length();
        let result = self.continue_from(partial).await;
        result.map_err(|error| (before > 0, error))
    }

    async fn continue_from(&self, partial: Partial) -> Result<(), Error> {
        let (offset, size) = (partial.length(), self.blob.size);
        self.arrival.begin(partial.reader()?, offset);
        self.state.send_replace(State::Running(offset));
        let (sender, mut pieces) = mpsc::channel::<bytes::Bytes>(PIECES);
        let arrival = Arc::clone(&self.arrival);
        let writing = tokio::spawn(blocking(move || {
            let mut partial = partial;
            while let Some(piece) = pieces.blocking_recv() {
                partial.write(&piece)?;
                arrival.grow(piece.len() as u64);
            }
            Ok::<_, content::Error>(partial)
        }));
        let received = if offset < size {
            self.receive(offset, sender).await
        } else {
            drop(sender);
            Ok(())
        };
        let written = writing
            .await
            .map_err(|error| Error::io("write blob")(std::io::Error::other(error)))?;
        // A full disk is why nobody takes the bytes any more.
        let partial = written?;
        received?;
        self.state.send_replace(State::Verifying);
        Ok(blocking(move || partial.commit()).await?)
    }

    async fn receive(&self, offset: u64, pieces: mpsc::Sender<bytes::Bytes>) -> Result<(), Error> {
        let mut wanted = self.wanted.clone();
        let transfer = async {
            let (digest, size) = (&self.blob.digest, self.blob.size);
            let mut blob = self.repository.blob(digest, size, offset).await?;
            let mut come = offset;
            loop {
                let piece = match blob.next().await? {
                    Next::Bytes(piece) => piece,
                    Next::Pause(pause) => {
                        let seconds = pause.as_millis().div_ceil(1000);
                        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
                        self.state.send_replace(State::Retrying(seconds));
                        tokio::time::sleep(pause).await;
                        continue;
                    }
                    Next::End => return Ok(()),
                };
                come += piece.len() as u64;
                if pieces.send(piece).await.is_err() {
                    return Ok(());
                }
                self.state.send_replace(State::Running(come));
            }
        };
        tokio::select! {
            done = transfer => done,
            _ = wanted.changed() => Err(Error::Cancelled),
        }
    }
}
