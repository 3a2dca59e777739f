//! Layers: each tree must be there with its record, and hold what its archive does. One that is gone or altered is unpacked
//! again from its archive.

use std::collections::BTreeSet;

use oci::image::Descriptor;
use snapshots::{Difference, Flaw};

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
        self.contents()
    }

    /// Trees whose files are not those of their archives.
    fn contents(&mut self) -> Result<(), Error> {
        let damages = self.images.snapshots.check()?.into_iter();
        let gone = damages.filter(|damage| damage.flaw == Flaw::Gone);
        let gone: BTreeSet<String> = gone.map(|damage| damage.key).collect();
        let mut seen = BTreeSet::new();
        for image in self.images.list() {
            for (position, chain) in image.chains.iter().enumerate() {
                if gone.contains(chain) {
                    // Nothing that stands on it can be looked at.
                    break;
                }
                if !seen.insert(chain.clone()) {
                    continue;
                }
                let found = self.altered(&image, position)?;
                if found.is_empty() {
                    continue;
                }
                let outcome = if self.repair {
                    self.mend_tree(&image, position)?
                } else {
                    Outcome::Found
                };
                self.tell(Kind::Layer, chain, describe(&found), outcome);
            }
        }
        Ok(())
    }

    /// What a tree does not have as its archive says. Nothing where the archive was found damaged, or the tree is gone.
    fn altered(&self, image: &Image, position: usize) -> Result<Vec<Difference>, Error> {
        let chain = &image.chains[position];
        // Neither goes meanwhile.
        let _pins = self.images.layers.pin(&image.chains);
        let Some(archive) = self.archive(image, position) else {
            return Ok(Vec::new());
        };
        let blob = match self.images.content.open_blob(&archive.digest) {
            Err(content::Error::NotFound(_)) => return Ok(Vec::new()),
            other => other?,
        };
        if !self.images.snapshots.has(chain) {
            return Ok(Vec::new());
        }
        let mut plain = decompress(blob).map_err(Error::io("read layer"))?;
        match self.images.snapshots.compare(chain, &mut plain) {
            // The blob is told to be damaged already.
            Err(snapshots::Error::Layer(_)) => Ok(Vec::new()),
            other => Ok(other?),
        }
    }

    /// The archive of a layer: this image's own, or that of another one with the same content.
    fn archive(&self, image: &Image, position: usize) -> Option<Descriptor> {
        let known = image.layers.get(position).cloned();
        known.or_else(|| {
            let diff_id = &image.config.rootfs.diff_ids[position];
            self.images.archive_of(diff_id)
        })
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
        let archive = self.archive(image, position);
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
        self.images.layers.add(position, diff_ids, &pins, open)?;
        Ok(self.images.snapshots.persist(&image.chains)?)
    }
}

/// How differences are told: how many, and the first ones.
fn describe(found: &[Difference]) -> String {
    const TOLD: usize = 3;
    let told: Vec<String> = found
        .iter()
        .take(TOLD)
        .map(|one| format!("/{} ({})", one.path.display(), one.what))
        .collect();
    let rest = if found.len() > TOLD { ", ..." } else { "" };
    let count = found.len();
    format!(
        "{count} of its files are not as in its archive: {}{rest}",
        told.join(", ")
    )
}
