//! Layers: each tree must be there with its record. One that is gone is unpacked again from its archive.

use std::collections::BTreeSet;

use snapshots::Flaw;

use super::{Check, Kind, Outcome, PINNED};
use crate::layers::Hashed;
use crate::{Error, Image, decompress};

/// What is said of a tree that is not there.
const GONE: &str = "its files are gone";

impl Check<'_> {
    pub(super) fn trees(&mut self) -> Result<(), Error> {
        let snapshots = &self.images.snapshots;
        self.report.layers = snapshots.committed().len();
        let mut gone: BTreeSet<String> = BTreeSet::new();
        for damage in snapshots.check()? {
            let key = damage.key;
            match damage.flaw {
                Flaw::Gone => drop(gone.insert(key)),
                Flaw::Stray => {
                    let outcome = self.if_repair(|| snapshots.remove_stray(&key), "removed")?;
                    self.tell(Kind::Layer, key, "it has no record".to_owned(), outcome);
                }
                Flaw::Record(why) => {
                    let write = || snapshots.rewrite_record(&key);
                    let outcome = self.if_repair(write, "written anew")?;
                    self.tell(Kind::Layer, key, why, outcome);
                }
            }
        }
        for image in self.images.list() {
            for (position, chain) in image.chains.iter().enumerate() {
                if gone.remove(chain) || !snapshots.has(chain) {
                    let outcome = if self.repair {
                        self.mend_tree(&image, position)?
                    } else {
                        Outcome::Found
                    };
                    self.tell(Kind::Layer, chain, GONE.to_owned(), outcome);
                    // What stands on a layer that cannot be mended went with it.
                    if !self.images.read().images.contains_key(&image.id) {
                        break;
                    }
                }
            }
        }
        for key in gone.into_iter().filter(|key| snapshots.has(key)) {
            let outcome = if self.repair {
                self.discard(&key)?
            } else {
                Outcome::Found
            };
            self.tell(Kind::Layer, key, GONE.to_owned(), outcome);
        }
        Ok(())
    }

    fn if_repair(
        &self,
        mend: impl FnOnce() -> Result<(), snapshots::Error>,
        done: &str,
    ) -> Result<Outcome, Error> {
        if !self.repair {
            return Ok(Outcome::Found);
        }
        mend()?;
        Ok(Outcome::Repaired(done.to_owned()))
    }

    /// Forgets a tree, unless somebody needs even what is left of it.
    fn discard(&self, chain: &str) -> Result<Outcome, Error> {
        let above = self.images.snapshots.active_above(chain);
        if let Some(container) = above.iter().find(|key| (self.users.runs)(key)) {
            let id = &container[..12.min(container.len())];
            return Ok(Outcome::Left(format!(
                "the running container {id} stands on it"
            )));
        }
        self.images.layers.while_pinned(|pinned| {
            if pinned.contains_key(chain) {
                return Ok(Outcome::Left(PINNED.to_owned()));
            }
            self.images.snapshots.discard(chain)?;
            let done = "removed: the next pull or load of its image makes it again";
            Ok(Outcome::Repaired(done.to_owned()))
        })
    }

    fn mend_tree(&self, image: &Image, position: usize) -> Result<Outcome, Error> {
        let chain = &image.chains[position];
        if let left @ Outcome::Left(_) = self.discard(chain)? {
            return Ok(left);
        }
        let Err(error) = self.unpack(image, position) else {
            let done = "unpacked again from its archive";
            return Ok(Outcome::Repaired(done.to_owned()));
        };
        let mut outcome = Outcome::Left(error.to_string());
        for other in self.images.list() {
            if other.chains.contains(chain) {
                outcome = self.give_up(&other)?;
            }
        }
        Ok(outcome)
    }

    /// Unpacks a layer from its archive over those below it.
    pub(super) fn unpack(&self, image: &Image, position: usize) -> Result<(), Error> {
        let diff_ids = &image.config.rootfs.diff_ids;
        let known = image.layers.get(position).cloned();
        let archive = known.or_else(|| self.images.archive_of(&diff_ids[position]));
        let archive = archive.ok_or_else(|| Error::NotKept {
            image: image.id.short().to_owned(),
            layer: diff_ids[position].clone(),
        })?;
        let open = || {
            let blob = self.images.content.open_blob(&archive.digest)?;
            let plain = decompress(blob).map_err(Error::io("read layer"))?;
            Ok(Hashed::now(plain))
        };
        let pins = self.images.layers.pin(&image.chains);
        self.images
            .layers
            .add(position, diff_ids, &pins, open)
            .map(drop)
    }
}
