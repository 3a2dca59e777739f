//! Records of images and names: the disk must say what the engine knows.

use std::path::{Path, PathBuf};

use super::{Check, Kind, Outcome};
use crate::Error;
use crate::records::{ImageRecord, ReferenceRecord};

impl Check<'_> {
    pub(super) fn records(&mut self) -> Result<(), Error> {
        let images = self.images;
        // No record comes or goes meanwhile.
        let change = images.change();
        let mut known: Vec<PathBuf> = Vec::new();
        for image in images.list() {
            let path = images.records.image_path(&image.id);
            let record = ImageRecord::of(&image);
            let what = difference(&path, &record);
            known.push(path.clone());
            if let Some(what) = what {
                let save = || images.records.save_image(&record);
                self.rewrite(Kind::Image, image.id.to_string(), &path, what, save)?;
            }
        }
        let names: Vec<_> = {
            let state = images.read();
            let names = state.references.iter();
            names.map(|(name, id)| (name.clone(), id.clone())).collect()
        };
        for (reference, image) in names {
            let path = images.records.reference_path(&reference);
            let record = ReferenceRecord {
                reference: reference.to_string(),
                image: image.clone(),
            };
            let what = difference(&path, &record);
            known.push(path.clone());
            if let Some(what) = what {
                let save = || images.records.save_reference(&reference, &image);
                self.rewrite(Kind::Reference, reference.familiar(), &path, what, save)?;
            }
        }
        for (kind, path) in images.records.others(&known)? {
            if self.repair {
                // There it is looked at again, beside those that were found at the start.
                images.records.quarantine(&path)?;
                continue;
            }
            let what = "the engine does not know of it".to_owned();
            self.tell(kind, path.to_string_lossy(), what, Outcome::Found);
        }
        drop(change);
        Ok(())
    }

    /// What is known is written anew.
    fn rewrite(
        &mut self,
        kind: Kind,
        subject: String,
        path: &Path,
        what: String,
        save: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let outcome = if self.repair {
            store::remove_tree(path)?;
            save()?;
            Outcome::Repaired("written anew".to_owned())
        } else {
            Outcome::Found
        };
        self.tell(kind, subject, what, outcome);
        Ok(())
    }
}

/// What is wrong with a record, if anything is.
fn difference<T: store::Record + PartialEq>(path: &Path, expected: &T) -> Option<String> {
    match store::load::<T>(path) {
        Err(error) => Some(error.to_string()),
        Ok(found) if found == *expected => None,
        Ok(_) => Some("its record says something else than it did".to_owned()),
    }
}
