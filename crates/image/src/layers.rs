//! Layers as committed snapshots: unpacked once, shared by chain, deleted when nobody needs them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use content::{HashReader, digest_of};
use oci::Digest;
use snapshots::{Limits, Snapshots};

use crate::Error;

/// How keys of trees begin into which a layer is being unpacked.
const EXTRACT: &str = "extract-";

/// The layers of all images.
pub(crate) struct Layers {
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) limits: Limits,
    /// Chains and blobs that a load or a pull needs although no image has them yet, with how many do.
    pinned: Arc<Pinned>,
    /// Held while a layer is unpacked, so that no two do the same one.
    unpacking: Mutex<()>,
    count: AtomicU64,
}

/// Keys with how many need each.
type Pinned = Mutex<HashMap<String, usize>>;

/// Keeps the layers and blobs of a load, a pull or a push in progress; they are free when it is dropped. What is pinned
/// before it gets its name is never swept.
pub(crate) struct Pins {
    pinned: Arc<Pinned>,
    chains: Vec<String>,
}

/// A layer's plain archive with its digest: found before, or found while it is read.
pub(crate) enum Hashed<'r> {
    Before(Box<dyn Read + 'r>, Digest),
    Now(Box<HashReader<Box<dyn Read + 'r>>>),
}

impl<'r> Hashed<'r> {
    pub(crate) fn now(reader: Box<dyn Read + 'r>) -> Self {
        Self::Now(Box::new(HashReader::new(reader)))
    }

    /// The digest, once all was read.
    fn finish(self) -> Digest {
        match self {
            Self::Before(_, digest) => digest,
            Self::Now(reader) => reader.finish().0,
        }
    }
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Before(reader, _) => reader.read(buffer),
            Self::Now(reader) => reader.read(buffer),
        }
    }
}

impl Layers {
    pub(crate) fn open(snapshots: Arc<Snapshots>) -> Result<Self, Error> {
        // What an interrupted load left.
        for key in snapshots
            .keys()?
            .iter()
            .filter(|key| key.starts_with(EXTRACT))
        {
            snapshots.remove(key)?;
        }
        Ok(Self {
            snapshots,
            limits: Limits::default(),
            pinned: Arc::default(),
            unpacking: Mutex::default(),
            count: AtomicU64::new(0),
        })
    }

    /// Protects chains from [`Layers::collect`].
    pub(crate) fn pin(&self, chains: &[String]) -> Pins {
        let mut pins = Pins {
            pinned: Arc::clone(&self.pinned),
            chains: Vec::new(),
        };
        pins.add(chains.iter().cloned());
        pins
    }

    /// Protects blobs from [`Images::sweep`](crate::Images::sweep).
    pub(crate) fn pin_blobs(&self, blobs: &[Digest]) -> Pins {
        let mut pins = self.pin(&[]);
        pins.add(blobs.iter().map(Digest::to_string));
        pins
    }

    /// Unpacks a layer with a known digest, unless it is there; whether it did. `open` is called only when it is needed.
    /// Nothing may name it before [`Snapshots::persist`].
    pub(crate) fn add<'r>(
        &self,
        position: usize,
        diff_ids: &[Digest],
        pins: &Pins,
        open: impl FnOnce() -> Result<Hashed<'r>, Error>,
    ) -> Result<bool, Error> {
        let expected = &diff_ids[position];
        let parent = position
            .checked_sub(1)
            .map(|below| pins.chains[below].as_str());
        let _one = self
            .unpacking
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.snapshots.has(&pins.chains[position]) {
            return Ok(false);
        }
        self.extract(parent, open()?, |found| {
            if found == *expected {
                Ok(pins.chains[position].clone())
            } else {
                Err(Error::DiffId {
                    position,
                    expected: expected.clone(),
                    found,
                })
            }
        })
        .map(|_| true)
    }

    /// Unpacks a layer whose digest is yet to be found; returns it with its pin.
    pub(crate) fn import(&self, reader: impl Read) -> Result<(Digest, Pins), Error> {
        let mut pins = self.pin(&[]);
        let _one = self
            .unpacking
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let reader = Hashed::now(Box::new(reader));
        let digest = self.extract(None, reader, |found| {
            pins.add([found.to_string()]);
            Ok(found.to_string())
        })?;
        self.snapshots.persist(&pins.chains)?;
        Ok((digest, pins))
    }

    /// Unpacks into a tree of its own; `check` sees the digest and says what the tree is to be called.
    fn extract(
        &self,
        parent: Option<&str>,
        mut reader: Hashed<'_>,
        check: impl FnOnce(Digest) -> Result<String, Error>,
    ) -> Result<Digest, Error> {
        let key = self.extract_key();
        self.snapshots.prepare(&key, parent)?;
        let done = self
            .snapshots
            .apply(&key, &mut reader, &self.limits)
            .map_err(Error::from)
            .and_then(|applied| {
                let digest = reader.finish();
                let name = check(digest.clone())?;
                match self.snapshots.place(&key, &name, applied.size) {
                    Err(snapshots::Error::Exists(_)) => Ok(digest),
                    other => other.map(|()| digest).map_err(Error::from),
                }
            });
        // Placed, there is nothing of this key.
        let removed = self
            .snapshots
            .remove(&key)
            .and_then(|()| self.snapshots.reap());
        let digest = done?;
        removed?;
        Ok(digest)
    }

    /// Gives the keys and digests that somebody needs; no more are added meanwhile.
    pub(crate) fn while_pinned<T>(&self, work: impl FnOnce(&HashMap<String, usize>) -> T) -> T {
        work(&self.pinned.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A key for a tree into which a layer is to be unpacked.
    pub(crate) fn extract_key(&self) -> String {
        format!("{EXTRACT}{}", self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// Deletes chains that are neither used nor pinned, nor stood upon by another tree; returns them, topmost first.
    ///
    /// `used` is asked after the pins: a load makes its image before it lets its pins go.
    pub(crate) fn collect(
        &self,
        used: impl FnOnce() -> HashSet<String>,
    ) -> Result<Vec<String>, Error> {
        let pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        let used = used();
        let mut removed = Vec::new();
        loop {
            let before = removed.len();
            for key in self.snapshots.committed() {
                if used.contains(&key) || pinned.contains_key(&key) {
                    continue;
                }
                match self.snapshots.remove(&key) {
                    Ok(()) => removed.push(key),
                    Err(snapshots::Error::InUse { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if removed.len() == before {
                return Ok(removed);
            }
        }
    }
}

impl Pins {
    /// Keeps more.
    pub(crate) fn add(&mut self, keys: impl IntoIterator<Item = String>) {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            *pinned.entry(key.clone()).or_default() += 1;
            self.chains.push(key);
        }
    }

    /// Whether this key is among them.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.chains.iter().any(|pinned| pinned == key)
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        for chain in &self.chains {
            if let Some(count) = pinned.get_mut(chain) {
                *count -= 1;
                if *count == 0 {
                    pinned.remove(chain);
                }
            }
        }
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The key of each layer: the digest of it and of all below.
pub(crate) fn chain_ids(diff_ids: &[Digest]) -> Vec<String> {
    let mut chains: Vec<String> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        chains.push(match chains.last() {
            None => diff_id.to_string(),
            Some(below) => digest_of(format!("{below} {diff_id}").as_bytes()).to_string(),
        });
    }
    chains
}
