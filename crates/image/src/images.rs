//! All images, in memory: the index over the records, rebuilt when it is opened.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use content::{Content, digest_of};
use oci::image::{Descriptor, MAX_DOCUMENT};
use oci::{Digest, ImageConfig, Reference, digest};
use snapshots::Snapshots;

use crate::image::Origin;
use crate::layers::{self, Layers};
use crate::records::{ImageRecord, Quarantined, Records};
use crate::{Error, Image, archive};

/// How long blobs of a pull that was cut off are kept for the next one.
pub(crate) const KEPT: Duration = Duration::from_hours(24);

/// The images below one directory. Internally synchronised; reading waits for no load.
pub struct Images {
    pub(crate) content: Arc<Content>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) records: Records,
    pub(crate) layers: Layers,
    pub(crate) archive_limits: archive::Limits,
    state: RwLock<State>,
    /// Held over a change of the records and then of the index.
    changing: Mutex<()>,
    quarantined: Quarantined,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) images: HashMap<Digest, Arc<Image>>,
    pub(crate) references: BTreeMap<Reference, Digest>,
}

impl Images {
    /// Opens `<root>/images` and `<root>/refs`, made when they do not exist. Damaged files go to `<root>/quarantine`.
    pub fn open(
        root: &Path,
        content: Arc<Content>,
        snapshots: Arc<Snapshots>,
    ) -> Result<Self, Error> {
        let records = Records::open(root)?;
        let layers = Layers::open(Arc::clone(&snapshots))?;
        let mut images = Self {
            content,
            snapshots,
            records,
            layers,
            archive_limits: archive::Limits::default(),
            state: RwLock::default(),
            changing: Mutex::default(),
            quarantined: Vec::new(),
        };
        images.read_records()?;
        if images.records.put_aside()?.is_empty() {
            images.remove_rests()?;
        }
        Ok(images)
    }

    /// Removes what an interrupted change left: layers without an image, and blobs that no pull has continued for a day.
    ///
    /// Not beside what was put aside now or before, which a repair may need them for.
    fn remove_rests(&self) -> Result<(), Error> {
        self.collect()?;
        self.sweep(KEPT).map(drop)
    }

    /// Removes blobs, and beginnings of blobs, that no image has and no pull needs; returns how many bytes that freed.
    pub fn sweep(&self, age: Duration) -> Result<u64, Error> {
        self.layers.while_pinned(|pinned| {
            let used = self.read().blobs();
            let wanted =
                |digest: &Digest| used.contains(digest) || pinned.contains_key(digest.as_str());
            Ok(self.content.sweep(wanted, age)?)
        })
    }

    /// Removes those of some blobs, and their beginnings, that no image has and no pull needs.
    pub(crate) fn release(&self, blobs: &[Digest]) -> Result<(), Error> {
        self.layers.while_pinned(|pinned| {
            let used = self.read().blobs();
            for blob in blobs {
                if !used.contains(blob) && !pinned.contains_key(blob.as_str()) {
                    self.content.remove(blob)?;
                    self.content.remove_partial(blob)?;
                }
            }
            Ok(())
        })
    }

    /// The archive of a layer that some image has.
    pub(crate) fn archive_of(&self, diff_id: &Digest) -> Option<Descriptor> {
        let state = self.read();
        state.images.values().find_map(|image| {
            let diff_ids = &image.config.rootfs.diff_ids;
            let position = diff_ids.iter().position(|other| other == diff_id)?;
            image.layers.get(position).cloned()
        })
    }

    /// Whether an image has this archive as this layer: then the archive was once found to be what the layer's DiffID says.
    pub(crate) fn vouches_for(&self, archive: &Digest, diff_id: &Digest) -> bool {
        self.read().images.values().any(|image| {
            let diff_ids = image.config.rootfs.diff_ids.iter();
            diff_ids
                .zip(&image.layers)
                .any(|(known, layer)| known == diff_id && layer.digest == *archive)
        })
    }

    fn read_records(&mut self) -> Result<(), Error> {
        let mut state = State::default();
        let found = self.records.images()?;
        self.quarantined.extend(found.quarantined);
        for (path, record) in found.records {
            let read = if self.records.image_path(&record.id) == path {
                self.describe(&record).map_err(|error| error.to_string())
            } else {
                Err("the file has the name of another image".to_owned())
            };
            match read {
                Ok(image) => drop(state.images.insert(record.id, Arc::new(image))),
                Err(reason) => self
                    .quarantined
                    .push((self.records.quarantine(&path)?, reason)),
            }
        }
        let found = self.records.references()?;
        self.quarantined.extend(found.quarantined);
        for (path, record) in found.records {
            let reason = match record.reference.parse::<Reference>() {
                Ok(reference) if !state.images.contains_key(&record.image) => {
                    format!(
                        "{reference} points at the image {}, which does not exist",
                        record.image
                    )
                }
                Ok(reference) if self.records.reference_path(&reference) == path => {
                    state.references.insert(reference, record.image);
                    continue;
                }
                Ok(_) => "the file has the name of another reference".to_owned(),
                Err(error) => error.to_string(),
            };
            self.quarantined
                .push((self.records.quarantine(&path)?, reason));
        }
        state.name_all();
        self.state = RwLock::new(state);
        Ok(())
    }

    /// What was damaged when it was opened: where it lies, and why.
    pub fn quarantined(&self) -> &[(PathBuf, String)] {
        &self.quarantined
    }

    /// The image of a reference, a full id or the beginning of one.
    pub fn resolve(&self, name: &str) -> Result<Arc<Image>, Error> {
        let state = self.read();
        let full = if digest::is_identifier(name) {
            Digest::from_hex(name).ok()
        } else {
            name.parse().ok()
        };
        if let Some(id) = full {
            return state
                .images
                .get(&id)
                .cloned()
                .ok_or_else(|| Error::NotFound(id.to_string()));
        }
        let reference = name.parse::<Reference>()?.with_default_tag();
        if let Some(image) = state.by_reference(&reference) {
            return Ok(image);
        }
        let prefix = name.strip_prefix(Digest::PREFIX).unwrap_or(name);
        let mut found = state
            .images
            .values()
            .filter(|image| image.id.hex().starts_with(prefix));
        match (found.next(), found.next()) {
            (Some(image), None) => Ok(Arc::clone(image)),
            (Some(_), Some(_)) => Err(Error::Ambiguous(name.to_owned())),
            (None, _) => Err(Error::NotFound(reference.familiar())),
        }
    }

    /// Every image, newest first.
    pub fn list(&self) -> Vec<Arc<Image>> {
        let mut images: Vec<_> = self.read().images.values().cloned().collect();
        // Times of configurations are written alike, so texts sort as times do; ties are settled by the id.
        images.sort_by(|left, right| (&right.created, &right.id).cmp(&(&left.created, &left.id)));
        images
    }

    /// Gives an image a further name; another image that had it loses it.
    pub fn tag(&self, source: &Image, target: &Reference) -> Result<(), Error> {
        self.name(&source.id, target).map(drop)
    }

    /// Points a name at an image and returns the image that had it before.
    pub(crate) fn name(&self, id: &Digest, reference: &Reference) -> Result<Option<Digest>, Error> {
        let reference = without_tag_beside_digest(reference.clone().with_default_tag());
        let _change = self.change();
        if !self.read().images.contains_key(id) {
            return Err(Error::NotFound(id.to_string()));
        }
        let now = SystemTime::now();
        self.records.save_reference(&reference, id)?;
        let record = self.read().images.get(id).map(|image| {
            ImageRecord::of(&Image {
                last_tagged: now,
                ..Image::clone(image)
            })
        });
        if let Some(record) = record {
            self.records.save_image(&record)?;
        }
        let mut state = self.write();
        let before = state
            .references
            .insert(reference, id.clone())
            .filter(|before| before != id);
        if let Some(before) = &before {
            state.name(before, None);
        }
        state.name(id, Some(now));
        Ok(before)
    }

    /// Makes an image of a configuration whose layers are there; one that exists gets the manifest with which it came.
    ///
    /// The caller has pinned the layers' archives since before they got their names.
    pub(crate) fn add(&self, config: &[u8], origin: Origin) -> Result<Arc<Image>, Error> {
        let _change = self.change();
        let documents = [Some(config), origin.manifest.as_deref()];
        let mut blobs: Vec<Digest> = documents.into_iter().flatten().map(digest_of).collect();
        blobs.extend(origin.layers.iter().map(|layer| layer.digest.clone()));
        // Until the record names them.
        let _pins = self.layers.pin_blobs(&blobs);
        let id = self.content.add(config)?;
        let manifest = origin
            .manifest
            .as_deref()
            .map(|bytes| self.content.add(bytes))
            .transpose()?;
        let known = self.read().images.get(&id).cloned();
        let replaces = |image: &Image| {
            (manifest.is_some() && manifest != image.manifest)
                || (image.layers.is_empty() && !origin.layers.is_empty())
        };
        if let Some(image) = known.as_ref().filter(|image| !replaces(image)) {
            return Ok(Arc::clone(image));
        }
        for layer in &origin.layers {
            // A record never names what is not there, least of all in the place of one whose blobs are.
            self.content.size(&layer.digest)?;
        }
        let image = match &known {
            Some(image) => Image {
                manifest,
                layers: origin.layers,
                ..Image::clone(image)
            },
            None => self.describe(&ImageRecord {
                manifest,
                layers: origin.layers,
                ..ImageRecord::new(&id, SystemTime::now())
            })?,
        };
        let image = Arc::new(image);
        self.keep(&image)?;
        if let Some(before) = known {
            self.release(&before.blobs())?;
        }
        Ok(image)
    }

    /// Writes an image's record and publishes it. The caller holds [`Images::change`].
    pub(crate) fn keep(&self, image: &Arc<Image>) -> Result<(), Error> {
        self.records.save_image(&ImageRecord::of(image))?;
        let mut state = self.write();
        state.images.insert(image.id.clone(), Arc::clone(image));
        Ok(())
    }

    /// The images that need a blob.
    pub(crate) fn users_of(&self, digest: &Digest) -> Vec<Arc<Image>> {
        let mut users = self.list();
        users.retain(|image| image.blobs().contains(digest));
        users
    }

    /// Deletes layers that no image and no container needs, topmost first, and returns their keys.
    ///
    /// A container that is removed may have been the last that needed its image's layers.
    pub fn collect(&self) -> Result<Vec<String>, Error> {
        let used = |state: &State| {
            state
                .images
                .values()
                .flat_map(|image| image.chains.clone())
                .collect()
        };
        self.layers.collect(|| used(&self.read()))
    }

    /// An image of whose layers all are there.
    pub(crate) fn describe(&self, record: &ImageRecord) -> Result<Image, Error> {
        let mut image = self.outline(record)?;
        for chain in &image.chains {
            image.layer_sizes.push(self.snapshots.usage(chain)?);
        }
        image.size = image.layer_sizes.iter().sum();
        Ok(image)
    }

    /// An image without its layers' sizes: they need not be there.
    pub(crate) fn outline(&self, record: &ImageRecord) -> Result<Image, Error> {
        let id = &record.id;
        let config = ImageConfig::parse(&self.content.read(id, MAX_DOCUMENT)?)?;
        let chains = layers::chain_ids(&config.rootfs.diff_ids);
        Ok(Image {
            id: id.clone(),
            chain: chains.last().cloned(),
            chains,
            size: 0,
            layer_sizes: Vec::new(),
            repo_tags: Vec::new(),
            repo_digests: Vec::new(),
            created: config.created.clone(),
            last_tagged: record.tagged(),
            manifest: record.manifest.clone(),
            layers: record.layers.clone(),
            config,
        })
    }

    pub(crate) fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn by_reference(&self, reference: &Reference) -> Option<Arc<Image>> {
        let id = self
            .references
            .get(&without_tag_beside_digest(reference.clone()))?;
        self.images.get(id).cloned()
    }

    /// Every blob that some image has.
    pub(crate) fn blobs(&self) -> HashSet<Digest> {
        self.images
            .values()
            .flat_map(|image| image.blobs())
            .collect()
    }

    /// The names of an image.
    pub(crate) fn references_of(&self, id: &Digest) -> Vec<Reference> {
        self.references
            .iter()
            .filter(|(_, image)| *image == id)
            .map(|(reference, _)| reference.clone())
            .collect()
    }

    /// Publishes an image with its present names.
    pub(crate) fn name(&mut self, id: &Digest, tagged: Option<SystemTime>) {
        let names = self.references_of(id);
        let Some(image) = self.images.get_mut(id) else {
            return;
        };
        let image = Arc::make_mut(image);
        image.repo_tags.clear();
        image.repo_digests.clear();
        for name in &names {
            also_named(image, name);
        }
        image.last_tagged = tagged.unwrap_or(image.last_tagged);
    }

    /// Gives images that were just read all their names, in one pass however many there are.
    fn name_all(&mut self) {
        for (reference, id) in &self.references {
            if let Some(image) = self.images.get_mut(id) {
                also_named(Arc::make_mut(image), reference);
            }
        }
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images")
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

fn also_named(image: &mut Image, name: &Reference) {
    let names = match name.digest {
        Some(_) => &mut image.repo_digests,
        None => &mut image.repo_tags,
    };
    names.push(name.familiar());
}

/// With a digest, the tag says nothing.
fn without_tag_beside_digest(reference: Reference) -> Reference {
    match reference.digest {
        Some(_) => Reference {
            tag: None,
            ..reference
        },
        None => reference,
    }
}
