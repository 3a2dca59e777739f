//! What was put aside when the engine began, as it could not be used: what can be used after all comes back, the rest goes.
//! Records and trees of containers are not looked at.

use std::path::Path;

use content::Content;
use oci::Reference;
use oci::image::MAX_DOCUMENT;

use super::{Check, Kind, Outcome};
use crate::records::{ImageRecord, ReferenceRecord};
use crate::{Error, Image};

/// Before the digest in the name of a layer that was put aside.
const LAYER: &str = "snapshots-sha256@";

impl Check<'_> {
    pub(super) fn quarantine(&mut self) -> Result<(), Error> {
        let aside = self.images.records.put_aside()?;
        let of = |prefix: &str| {
            let named = |path: &&std::path::PathBuf| {
                let name = path.file_name().unwrap_or_default();
                name.to_string_lossy().starts_with(prefix)
            };
            aside.iter().filter(named).cloned().collect::<Vec<_>>()
        };
        // Images before their names, and both before the trees, which are made anew.
        for path in of("images-") {
            let outcome = self.if_asked(&path, |check| Ok(check.restore_image(&path)))?;
            let what = "its record was put aside".to_owned();
            self.tell(Kind::Image, path.to_string_lossy(), what, outcome);
        }
        for path in of("refs-") {
            let outcome = self.if_asked(&path, |check| check.restore_name(&path))?;
            let what = "it was put aside".to_owned();
            self.tell(Kind::Reference, path.to_string_lossy(), what, outcome);
        }
        for path in of(LAYER) {
            let outcome = match self.holder(&path) {
                Some(container) if self.repair => {
                    Outcome::Left(format!("the running container {container} stands on it"))
                }
                _ => self.if_asked(&path, |_| Ok("removed".to_owned()))?,
            };
            let what = "it was put aside".to_owned();
            self.tell(Kind::Layer, path.to_string_lossy(), what, outcome);
        }
        if self.repair {
            // Layers and blobs of images that could not come back.
            self.images.collect()?;
        }
        Ok(())
    }

    /// Does what is to be done, and then removes the file.
    fn if_asked(
        &self,
        path: &Path,
        work: impl FnOnce(&Self) -> Result<String, Error>,
    ) -> Result<Outcome, Error> {
        if !self.repair {
            return Ok(Outcome::Found);
        }
        let done = work(self)?;
        store::remove_tree(path)?;
        Ok(Outcome::Repaired(done))
    }

    /// A running container that stands on a layer of this name.
    fn holder(&self, path: &Path) -> Option<String> {
        let name = path.file_name()?.to_string_lossy().into_owned();
        let hex = name.strip_prefix(LAYER)?.get(..64)?;
        let above = self.images.snapshots.active_above(&format!("sha256:{hex}"));
        let holder = above.iter().find(|key| (self.users.runs)(key))?;
        Some(holder.chars().take(12).collect())
    }

    fn restore_image(&self, path: &Path) -> String {
        let again = "pull or load the image again";
        let record = match store::load::<ImageRecord>(path) {
            Err(error) => return format!("removed ({error}): {again}"),
            Ok(record) => record,
        };
        if self.images.read().images.contains_key(&record.id) {
            return "removed: the image is there again".to_owned();
        }
        let pins: Vec<String> = record.blobs().iter().map(ToString::to_string).collect();
        let _pins = self.images.layers.pin(&pins);
        let whole = self.whole(&record).and_then(|image| {
            let _chains = self.images.layers.pin(&image.chains);
            for position in 0..image.chains.len() {
                if !self.images.snapshots.has(&image.chains[position]) {
                    self.unpack(&image, position)?;
                }
            }
            let _change = self.images.change();
            self.images
                .keep(&std::sync::Arc::new(self.images.describe(&record)?))?;
            Ok(image)
        });
        match whole {
            Ok(image) => format!("restored the image {}", image.id.short()),
            Err(error) => {
                let id = record.id.short();
                format!("removed the image {id} ({error}): {again}")
            }
        }
    }

    /// An image whose configuration, manifest and archives are there; its trees may not be.
    fn whole(&self, record: &ImageRecord) -> Result<Image, Error> {
        let content: &Content = &self.images.content;
        if let Some(manifest) = &record.manifest {
            content.read(manifest, MAX_DOCUMENT)?;
        }
        for layer in &record.layers {
            content.size(&layer.digest)?;
        }
        self.images.outline(record)
    }

    fn restore_name(&self, path: &Path) -> Result<String, Error> {
        let record = match store::load::<ReferenceRecord>(path) {
            Err(error) => return Ok(format!("removed ({error})")),
            Ok(record) => record,
        };
        let Ok(reference) = record.reference.parse::<Reference>() else {
            return Ok(format!("removed: {:?} is no name", record.reference));
        };
        let name = reference.familiar();
        if self.images.read().by_reference(&reference).is_some() {
            return Ok(format!("removed: {name} is there again"));
        }
        match self.images.name(&record.image, &reference) {
            Ok(_) => Ok(format!("restored {name}")),
            Err(Error::NotFound(_)) => Ok(format!(
                "removed: {name} pointed at the image {}, which is not there",
                record.image.short()
            )),
            Err(error) => Err(error),
        }
    }
}
