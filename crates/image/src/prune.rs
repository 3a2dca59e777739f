//! Remove images that nobody uses.

use std::time::Duration;

use oci::Digest;

use crate::{Error, Image, Images, InUse, Removed};

/// What a pruning did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names taken away, images and layers deleted.
    pub removed: Vec<Removed>,
    /// Length of all files that went.
    pub freed: u64,
}

impl Images {
    /// Removes images that `wanted` chooses and no container uses, with all their names; then what no pull continues.
    pub fn prune(
        &self,
        wanted: &dyn Fn(&Image) -> bool,
        in_use: &dyn Fn(&Digest) -> Option<InUse>,
    ) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        for image in self.list() {
            // A pull has made it and has not named it yet.
            let pulled = self
                .layers
                .while_pinned(|pinned| pinned.contains_key(image.id.as_str()));
            if pulled || !wanted(&image) || in_use(&image.id).is_some() {
                continue;
            }
            let sizes: Vec<(&String, &u64)> = image.chains.iter().zip(&image.layer_sizes).collect();
            let names = self.read().references_of(&image.id);
            for name in names {
                match self.remove(&name.to_string(), false, false, in_use) {
                    Ok(removed) => pruned.removed.extend(removed),
                    // The last tag took the digests along, or somebody was faster.
                    Err(Error::NotFound(_) | Error::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if self.read().images.contains_key(&image.id) {
                match self.remove(image.id.as_str(), false, false, in_use) {
                    Ok(removed) => pruned.removed.extend(removed),
                    Err(Error::NotFound(_) | Error::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            let gone = sizes
                .iter()
                .filter(|(chain, _)| !self.snapshots.has(chain))
                .map(|(_, size)| **size);
            pruned.freed += gone.sum::<u64>();
        }
        pruned.freed += self.sweep(Duration::ZERO)?;
        Ok(pruned)
    }
}
