//! One layer of a pull: downloaded, unpacked while it comes, verified.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oci::image::Descriptor;
use tokio::sync::watch;

use super::arrival::{Arrival, Follow};
use super::download::{Download, State};
use super::step::{Line, Progress};
use super::unpack::{self, Loose, Place};
use super::{Remote, blocking};
use crate::load::check_diff_id;
use crate::{Error, decompress};

/// What all layers of a pull share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) remote: Arc<Remote>,
    pub(super) progress: Progress,
    /// Set when the pull is given up: for what blocks, and for what waits.
    pub(super) abandoned: Arc<AtomicBool>,
    pub(super) stopped: watch::Sender<bool>,
    /// What its layers are read from while they come.
    pub(super) arrivals: Vec<Arc<Arrival>>,
}

impl Shared {
    /// Gives the pull up.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.stopped.send_replace(true);
        // A reader would wait for bytes, and keep its download alive for whoever asks for the same meanwhile.
        self.arrivals.iter().for_each(|arrival| arrival.wake());
    }
}

/// One layer of a pull.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) shared: Arc<Shared>,
    pub(super) place: Place,
    pub(super) blob: Descriptor,
    /// Its download; none where the blob is there.
    pub(super) download: Option<Download>,
    /// Whether its tree is there, too, and that was told.
    pub(super) there: bool,
    /// Whether the layer below is there.
    pub(super) below: Option<watch::Receiver<bool>>,
    /// Tells the layer above.
    pub(super) ready: watch::Sender<bool>,
}

impl Layer {
    /// Downloads and unpacks. Every wait ends when the pull is cancelled; what blocks is waited for.
    pub(super) async fn get(mut self) -> Result<(), Error> {
        let remote = Arc::clone(&self.shared.remote);
        let mut line = self.shared.progress.line(self.blob.digest.short());
        let lock = remote.chain_lock(&self.place.chain);
        let Some(mut download) = self.download.take() else {
            let _one = self.or_cancelled(lock.lock()).await?;
            let (images, place) = (&remote.images, &self.place);
            if !images.snapshots.has(&place.chain) {
                self.unpack_blob(&mut line).await?;
            } else if !images.vouches_for(&self.blob.digest, &place.diff_id) {
                self.verify().await?;
            }
            if !self.there {
                line.say("Pull complete");
            }
            self.ready.send_replace(true);
            return Ok(());
        };
        let mut told = download.state.clone();
        let size = self.blob.size;
        // The line is told of the download until the layer is there; then of the unpacking.
        let mut unpacking = std::pin::pin!(async {
            let _one = self.or_cancelled(lock.lock()).await?;
            let unpacked = self.unpack(&mut download).await;
            // Why a layer could not be unpacked is most often that it did not come.
            match unpacked {
                Err(error @ Error::Cancelled) => Err(error),
                Err(error) => self.or_cancelled(download.done()).await?.and(Err(error)),
                Ok(()) => self.or_cancelled(download.done()).await?,
            }
        });
        let early = tokio::select! {
            biased;
            () = show(&mut told, &mut line, size) => None,
            done = &mut unpacking => Some(done),
        };
        match early {
            Some(done) => {
                done?;
                // The unpacking was as fast as the download: what the line has not been told yet.
                line.say("Download complete");
            }
            None => {
                line.count("Extracting", size, size);
                unpacking.await?;
            }
        }
        line.say("Pull complete");
        self.ready.send_replace(true);
        Ok(())
    }

    /// Unpacks what is still being downloaded.
    async fn unpack(&self, download: &mut Download) -> Result<(), Error> {
        self.or_cancelled(download.begun()).await?;
        let images = Arc::clone(&self.shared.remote.images);
        if images.snapshots.has(&self.place.chain) {
            self.or_cancelled(download.done()).await??;
            return self.verify().await;
        }
        let follow = Follow::new(
            Arc::clone(&download.arrival),
            Arc::clone(&self.shared.abandoned),
        );
        let place = self.place.clone();
        let waits = self.below.as_ref().is_some_and(|below| !*below.borrow());
        let loose = if waits {
            self.work(move || unpack::alone(&images, &place, follow))
                .await
        } else {
            let unpacked = self
                .work(move || unpack::over(&images, &place, follow))
                .await;
            if unpacked.is_ok() {
                return Ok(());
            }
            unpacked.map(|()| None)
        };
        // A download that began anew leaves its readers behind with the wrong bytes.
        let loose = match loose {
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => {
                self.or_cancelled(download.done()).await??;
                if !download.arrival.is_broken() {
                    return Err(error);
                }
                None
            }
            Ok(loose) => loose,
        };
        self.finish(loose, download).await
    }

    /// Puts what was unpacked upon the layers below.
    async fn finish(&self, loose: Option<Loose>, download: &mut Download) -> Result<(), Error> {
        let ready = async {
            self.or_cancelled(download.done()).await??;
            self.below().await
        };
        let images = Arc::clone(&self.shared.remote.images);
        let place = self.place.clone();
        let ready = ready.await;
        let Some(loose) = loose else {
            ready?;
            return self.unpack_stored().await;
        };
        if ready.is_err() {
            self.work(move || unpack::discard(&images, &loose)).await?;
            return ready;
        }
        let settled = self
            .work(move || unpack::settle(&images, &place, &loose))
            .await?;
        if settled {
            return Ok(());
        }
        self.unpack_stored().await
    }

    /// Unpacks a blob that is there, as soon as the layers below are.
    async fn unpack_blob(&self, line: &mut Line) -> Result<(), Error> {
        line.count("Extracting", self.blob.size, self.blob.size);
        self.below().await?;
        self.unpack_stored().await
    }

    async fn unpack_stored(&self) -> Result<(), Error> {
        let (images, place) = (Arc::clone(&self.shared.remote.images), self.place.clone());
        let digest = self.blob.digest.clone();
        self.work(move || {
            if images.snapshots.has(&place.chain) {
                return Ok(());
            }
            unpack::over(&images, &place, images.content.open_blob(&digest)?)
        })
        .await
    }

    /// A tree that is there already was made of other bytes: what is kept beside it must be the same layer.
    async fn verify(&self) -> Result<(), Error> {
        let (images, place) = (Arc::clone(&self.shared.remote.images), self.place.clone());
        let digest = self.blob.digest.clone();
        self.work(move || {
            let blob = images.content.open_blob(&digest)?;
            let reader = decompress(blob).map_err(Error::io("read layer"))?;
            check_diff_id(reader, place.position, &place.diff_id)
        })
        .await
    }

    /// Waits for the layer below.
    async fn below(&self) -> Result<(), Error> {
        let Some(below) = &self.below else {
            return Ok(());
        };
        let mut below = below.clone();
        // A layer that fails takes its sender along; its own error is the one that counts.
        match self.or_cancelled(below.wait_for(|ready| *ready)).await? {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Cancelled),
        }
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let unpackers = Arc::clone(&self.shared.remote.unpackers);
        let _slot = unpackers
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        blocking(work).await
    }

    async fn or_cancelled<T>(&self, waiting: impl Future<Output = T>) -> Result<T, Error> {
        let mut stopped = self.shared.stopped.subscribe();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => Err(Error::Cancelled),
            done = waiting => Ok(done),
        }
    }
}

/// Tells how a download goes on, until the blob is there or will not come.
pub(super) async fn show(state: &mut watch::Receiver<State>, line: &mut Line, size: u64) {
    loop {
        let now = state.borrow_and_update().clone();
        match now {
            // As docker, nothing before the first bytes.
            State::Begun | State::Running(0) => {}
            State::Waiting => line.say("Waiting"),
            State::Running(current) => line.count("Downloading", current, size),
            State::Retrying(1) => line.say("Retrying in 1 second"),
            State::Retrying(seconds) => line.say(&format!("Retrying in {seconds} seconds")),
            State::Verifying => line.say("Verifying Checksum"),
            State::Done => {
                line.say("Download complete");
                return;
            }
            // Its error is told by whoever waits for the blob.
            State::Failed(_) => return std::future::pending().await,
        }
        if state.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
