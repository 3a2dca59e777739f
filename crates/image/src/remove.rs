//! Take names away and delete images, by Docker's rules.

use std::sync::Arc;

use oci::{Digest, Reference};

use crate::{Error, Image, Images, InUse, Removed};

/// What one removal is about.
struct Removal<'a> {
    images: &'a Images,
    image: Arc<Image>,
    force: bool,
    in_use: &'a dyn Fn(&Digest) -> Option<InUse>,
    removed: Vec<Removed>,
}

impl Images {
    /// Takes a name away, and deletes the image when it was the last; or deletes an image by its id.
    ///
    /// `in_use` names a container that was made from an image, a running one before a stopped one. Images here have no
    /// parents, so `no_prune` changes nothing.
    pub fn remove(
        &self,
        name: &str,
        force: bool,
        no_prune: bool,
        in_use: &dyn Fn(&Digest) -> Option<InUse>,
    ) -> Result<Vec<Removed>, Error> {
        let _ = no_prune;
        let _change = self.change();
        let image = self.resolve(name)?;
        let by_id = is_id_prefix(&image.id, name) && self.named(name).is_none();
        let removal = Removal {
            images: self,
            image,
            force,
            in_use,
            removed: Vec::new(),
        };
        if by_id {
            removal.by_id()
        } else {
            removal.by_name(name)
        }
    }

    /// The reference that a text names, when there is one.
    fn named(&self, name: &str) -> Option<Reference> {
        let reference = name.parse::<Reference>().ok()?.with_default_tag();
        self.read().by_reference(&reference)?;
        Some(reference)
    }
}

impl Removal<'_> {
    fn by_name(mut self, name: &str) -> Result<Vec<Removed>, Error> {
        let reference = name.parse::<Reference>()?.with_default_tag();
        let users = (self.in_use)(&self.image.id);
        if let Some(user) = users.filter(|_| !self.force && is_single(&self.references())) {
            return Err(Error::ReferenceInUse {
                name: name.to_owned(),
                container: short(&user.container),
                image: self.image.id.short().to_owned(),
            });
        }
        self.untag(&reference)?;
        // The last tag of a repository takes the repository's digests along.
        let same = |other: &Reference| {
            (&other.domain, &other.path) == (&reference.domain, &reference.path)
        };
        let rest = self.references();
        if reference.digest.is_none()
            && !rest
                .iter()
                .any(|other| other.digest.is_none() && same(other))
        {
            for other in rest.iter().filter(|other| same(other)) {
                self.untag(other)?;
            }
        }
        if !self.references().is_empty() {
            return Ok(self.removed);
        }
        // A container still has it: the name is gone, the image stays until the container goes.
        if self.conflict(false).is_some() {
            Ok(self.removed)
        } else {
            self.delete()
        }
    }

    fn by_id(mut self) -> Result<Vec<Removed>, Error> {
        let references = self.references();
        let single = is_single(&references);
        if let Some(conflict) = self.conflict(!single) {
            return Err(conflict);
        }
        for reference in &references {
            self.untag(reference)?;
        }
        self.delete()
    }

    fn delete(mut self) -> Result<Vec<Removed>, Error> {
        let id = &self.image.id;
        self.images.records.remove_image(id)?;
        self.images.write().images.remove(id);
        self.images.release(&self.image.blobs())?;
        self.removed.push(Removed::Deleted(id.to_string()));
        let layers = self.images.collect()?;
        self.removed
            .extend(layers.into_iter().map(Removed::Deleted));
        self.images.snapshots.reap()?;
        Ok(self.removed)
    }

    /// What forbids to delete the image, given `force`.
    fn conflict(&self, several: bool) -> Option<Error> {
        let conflict = |hard: bool, reason: String| {
            Some(Error::Conflict {
                image: self.image.id.short().to_owned(),
                hard,
                reason,
            })
        };
        let user = (self.in_use)(&self.image.id);
        match user {
            Some(user) if user.running => {
                let text = format!(
                    "image is being used by running container {}",
                    short(&user.container)
                );
                conflict(true, text)
            }
            _ if self.force => None,
            _ if several => conflict(
                false,
                "image is referenced in multiple repositories".to_owned(),
            ),
            Some(user) => conflict(
                false,
                format!(
                    "image is being used by stopped container {}",
                    short(&user.container)
                ),
            ),
            None => None,
        }
    }

    fn references(&self) -> Vec<Reference> {
        self.images.read().references_of(&self.image.id)
    }

    fn untag(&mut self, reference: &Reference) -> Result<(), Error> {
        let stored = match reference.digest {
            Some(_) => Reference {
                tag: None,
                ..reference.clone()
            },
            None => reference.clone(),
        };
        self.images.records.remove_reference(&stored)?;
        let mut state = self.images.write();
        state.references.remove(&stored);
        state.name(&self.image.id, None);
        self.removed.push(Removed::Untagged(stored.familiar()));
        Ok(())
    }
}

/// Whether there is at most one tag, and nothing of another repository.
fn is_single(references: &[Reference]) -> bool {
    let mut tags = references
        .iter()
        .filter(|reference| reference.digest.is_none());
    let Some(first) = tags.next().or(references.first()) else {
        return true;
    };
    tags.next().is_none()
        && references
            .iter()
            .all(|other| (&other.domain, &other.path) == (&first.domain, &first.path))
}

fn is_id_prefix(id: &Digest, name: &str) -> bool {
    id.hex()
        .starts_with(name.strip_prefix(Digest::PREFIX).unwrap_or(name))
}

fn short(id: &str) -> String {
    id.chars().take(12).collect()
}
