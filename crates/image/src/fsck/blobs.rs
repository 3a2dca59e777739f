//! Blobs: each is read, and each that an image needs must be there.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::Digest;

use super::{Check, Kind, Outcome, PINNED, names};
use crate::{Error, Image};

impl Check<'_> {
    pub(super) fn blobs(&mut self) -> Result<(), Error> {
        let content = &self.images.content;
        let mut flawed: BTreeMap<Digest, String> = BTreeMap::new();
        for (digest, _) in content.list()? {
            // One that has gone since was nobody's.
            let Some((found, size)) = content.measure(&digest)? else {
                continue;
            };
            self.report.blobs += 1;
            self.report.bytes += size;
            if found != digest {
                flawed.insert(digest, format!("its content has the digest {found}"));
            }
        }
        for image in self.images.list() {
            for digest in image.blobs() {
                if !content.has(&digest)? {
                    flawed.insert(digest, "it is missing".to_owned());
                }
            }
        }
        for (digest, what) in flawed {
            self.blob(&digest, what)?;
        }
        Ok(())
    }

    fn blob(&mut self, digest: &Digest, mut what: String) -> Result<(), Error> {
        let users = self.images.users_of(digest);
        let missing = !self.images.content.has(digest)?;
        if missing && users.is_empty() {
            // It went with its image.
            return Ok(());
        }
        if !users.is_empty() {
            what = format!("{what}; {} needs it", names(&users));
        }
        let outcome = if self.repair {
            self.mend_blob(digest, &users)?
        } else {
            Outcome::Found
        };
        self.tell(Kind::Blob, digest.as_str(), what, outcome);
        Ok(())
    }

    /// No blob can be made from what is left: it goes, and with it whatever says that it is there.
    fn mend_blob(&self, digest: &Digest, users: &[Arc<Image>]) -> Result<Outcome, Error> {
        let image = users.iter().find(|image| image.id == *digest);
        let user = image.and_then(|image| (self.users.of_image)(&image.id));
        if let Some(user) = user.filter(|user| user.running) {
            return Ok(Outcome::Left(format!(
                "the running container {} was made from it",
                &user.container[..12.min(user.container.len())]
            )));
        }
        let removed = self.images.layers.while_pinned(|pinned| {
            if pinned.contains_key(digest.as_str()) {
                return Ok(false);
            }
            self.images.content.remove(digest)?;
            self.images.content.remove_partial(digest)?;
            Ok::<_, Error>(true)
        })?;
        if !removed {
            return Ok(Outcome::Left(PINNED.to_owned()));
        }
        if let Some(image) = image {
            return self.give_up(image);
        }
        for image in users {
            let is_layer = image.layers.iter().any(|layer| layer.digest == *digest);
            self.images.forget_archives(&image.id, is_layer)?;
        }
        Ok(Outcome::Repaired(if users.is_empty() {
            "removed".to_owned()
        } else {
            let names = names(users);
            format!("{names} runs, but must be pulled or loaded again before a push or save")
        }))
    }
}
