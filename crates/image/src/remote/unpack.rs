//! Unpacks one layer: over the layers below it, or before they are there.

use std::io::Read;

use oci::Digest;
use snapshots::Alone;

use super::ahead::Ahead;
use crate::layers::Layers;
use crate::{Error, Images};

/// One layer of an image.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// From zero.
    pub(super) position: usize,
    pub(super) diff_id: Digest,
    /// Key of its tree, and of the one below.
    pub(super) chain: String,
    pub(super) parent: Option<String>,
}

/// A layer that was unpacked before those below it were there.
#[derive(Debug)]
pub(super) struct Loose {
    key: String,
    alone: Alone,
}

/// Unpacks over the layers below.
pub(super) fn over(
    images: &Images,
    place: &Place,
    reader: impl Read + Send + 'static,
) -> Result<(), Error> {
    let layers = &images.layers;
    let key = layers.extract_key();
    layers.snapshots.prepare(&key, place.parent.as_deref())?;
    let done = fill(layers, place, &key, reader);
    finish(layers, &key, done)
}

fn fill(
    layers: &Layers,
    place: &Place,
    key: &str,
    reader: impl Read + Send + 'static,
) -> Result<(), Error> {
    let mut reader = Ahead::new(reader).map_err(Error::io("read layer"))?;
    let applied = layers.snapshots.apply(key, &mut reader, &layers.limits)?;
    check(place, reader)?;
    name(layers, key, place, applied.size)
}

/// Unpacks with nothing below. `None`: the layer depends on those below it.
pub(super) fn alone(
    images: &Images,
    place: &Place,
    reader: impl Read + Send + 'static,
) -> Result<Option<Loose>, Error> {
    let layers = &images.layers;
    let key = layers.extract_key();
    layers.snapshots.prepare(&key, None)?;
    let made = (|| {
        let mut reader = Ahead::new(reader).map_err(Error::io("read layer"))?;
        let applied = layers
            .snapshots
            .apply_alone(&key, &mut reader, &layers.limits)?;
        let Some(alone) = applied else {
            return Ok(None);
        };
        check(place, reader)?;
        Ok(Some(alone))
    })();
    match made {
        Ok(Some(alone)) => Ok(Some(Loose { key, alone })),
        other => finish(layers, &key, other.map(drop)).map(|()| None),
    }
}

/// Puts a loose layer upon those below; false when it must be unpacked over them after all.
pub(super) fn settle(images: &Images, place: &Place, loose: &Loose) -> Result<bool, Error> {
    let layers = &images.layers;
    let settled = (|| {
        if let Some(parent) = &place.parent
            && !layers.snapshots.settle(&loose.key, parent, &loose.alone)?
        {
            return Ok(false);
        }
        name(layers, &loose.key, place, loose.alone.applied.size)?;
        Ok(true)
    })();
    let mut done = false;
    finish(layers, &loose.key, settled.map(|settled| done = settled))?;
    Ok(done)
}

/// Removes a loose layer that is of no use.
pub(super) fn discard(images: &Images, loose: &Loose) -> Result<(), Error> {
    finish(&images.layers, &loose.key, Ok(()))
}

fn check(place: &Place, reader: Ahead) -> Result<(), Error> {
    let found = reader.digest();
    if found.as_ref() == Some(&place.diff_id) {
        return Ok(());
    }
    Err(Error::DiffId {
        position: place.position,
        expected: place.diff_id.clone(),
        found: found.unwrap_or_else(|| content::digest_of(b"")),
    })
}

/// The pull brings all of its layers onto the medium together.
fn name(layers: &Layers, key: &str, place: &Place, size: u64) -> Result<(), Error> {
    match layers.snapshots.place(key, &place.chain, size) {
        // A load was faster.
        Err(snapshots::Error::Exists(_)) => Ok(()),
        other => Ok(other?),
    }
}

/// With its name there is nothing of this key.
fn finish(layers: &Layers, key: &str, done: Result<(), Error>) -> Result<(), Error> {
    let removed = layers
        .snapshots
        .remove(key)
        .and_then(|()| layers.snapshots.reap());
    done?;
    Ok(removed?)
}
