//! What is kept of images and names: `images/<id>.json` and `refs/<escaped reference>.json`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use content::digest_of;
use oci::image::Descriptor;
use oci::{Digest, Reference};
use serde::{Deserialize, Serialize};
use stdx::ErrorKind;

use crate::fsck::Kind;
use crate::{Error, Image};

/// Longest name of a reference's file before it is shortened; the kernel takes 255 bytes.
const MAX_NAME: usize = 200;

/// An image that exists. Everything else is in its configuration, a blob.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    pub(crate) id: Digest,
    /// Nanoseconds since 1970.
    pub(crate) last_tagged: u64,
    /// The manifest with which it came or went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest: Option<Digest>,
    /// The layers' archives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) layers: Vec<Descriptor>,
}

impl store::Record for ImageRecord {
    const SCHEMA: u32 = 1;
}

/// A name that points at an image.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReferenceRecord {
    pub(crate) reference: String,
    pub(crate) image: Digest,
}

impl store::Record for ReferenceRecord {
    const SCHEMA: u32 = 1;
}

/// Where the records are.
#[derive(Debug)]
pub(crate) struct Records {
    images: PathBuf,
    references: PathBuf,
    quarantine: PathBuf,
}

/// Files that could not be used: where they lie now, and why.
pub(crate) type Quarantined = Vec<(PathBuf, String)>;

impl Records {
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let records = Self {
            images: root.join("images"),
            references: root.join("refs"),
            quarantine: root.join("quarantine"),
        };
        store::create_dir_all(&records.images)?;
        store::create_dir_all(&records.references)?;
        Ok(records)
    }

    pub(crate) fn images(&self) -> Result<store::Loaded<ImageRecord>, Error> {
        Ok(store::load_all(&self.images, None, &self.quarantine)?)
    }

    pub(crate) fn references(&self) -> Result<store::Loaded<ReferenceRecord>, Error> {
        Ok(store::load_all(&self.references, None, &self.quarantine)?)
    }

    pub(crate) fn quarantine(&self, path: &Path) -> Result<PathBuf, Error> {
        Ok(store::quarantine(path, &self.quarantine)?)
    }

    /// Files among the records that are none of those that are known.
    pub(crate) fn others(&self, known: &[PathBuf]) -> Result<Vec<(Kind, PathBuf)>, Error> {
        let mut found = Vec::new();
        for (kind, dir) in [
            (Kind::Image, &self.images),
            (Kind::Reference, &self.references),
        ] {
            let mut paths = list(dir)?;
            paths.retain(|path| !known.contains(path));
            found.extend(paths.into_iter().map(|path| (kind, path)));
        }
        Ok(found)
    }

    /// What was put aside and is of images: records, names and layers.
    pub(crate) fn put_aside(&self) -> Result<Vec<PathBuf>, Error> {
        let mut paths = match list(&self.quarantine) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        paths.retain(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            ["images-", "refs-", "snapshots-sha256@"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        Ok(paths)
    }

    pub(crate) fn save_image(&self, record: &ImageRecord) -> Result<(), Error> {
        Ok(store::save(&self.image_path(&record.id), record, true)?)
    }

    pub(crate) fn remove_image(&self, id: &Digest) -> Result<(), Error> {
        // Before its blobs go: an image that came back after a crash would lack them.
        Ok(store::remove_for_good(&self.image_path(id))?)
    }

    pub(crate) fn save_reference(
        &self,
        reference: &Reference,
        image: &Digest,
    ) -> Result<(), Error> {
        let record = ReferenceRecord {
            reference: reference.to_string(),
            image: image.clone(),
        };
        Ok(store::save(&self.reference_path(reference), &record, true)?)
    }

    pub(crate) fn remove_reference(&self, reference: &Reference) -> Result<(), Error> {
        // A name that came back after a crash could point at an image that is gone.
        Ok(store::remove_for_good(&self.reference_path(reference))?)
    }

    pub(crate) fn image_path(&self, id: &Digest) -> PathBuf {
        self.images.join(format!("{}.json", id.hex()))
    }

    pub(crate) fn reference_path(&self, reference: &Reference) -> PathBuf {
        let text = reference.to_string();
        let mut name = text.replace('/', "%2F");
        if name.len() > MAX_NAME {
            // The grammar of references is ASCII.
            name.truncate(MAX_NAME - 65);
            name = format!("{name}-{}", digest_of(text.as_bytes()).hex());
        }
        self.references.join(format!("{name}.json"))
    }
}

/// What a directory holds, sorted.
fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| store::Error::Io {
        action: "read directory",
        path: dir.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

impl ImageRecord {
    /// The blobs that the image needs.
    pub(crate) fn blobs(&self) -> Vec<Digest> {
        let layers = self.layers.iter().map(|layer| layer.digest.clone());
        let own = [Some(self.id.clone()), self.manifest.clone()];
        own.into_iter().flatten().chain(layers).collect()
    }

    /// A new image, without a manifest and archives.
    pub(crate) fn new(id: &Digest, last_tagged: SystemTime) -> Self {
        let since = last_tagged
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            id: id.clone(),
            last_tagged: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            manifest: None,
            layers: Vec::new(),
        }
    }

    /// What is kept of an image.
    pub(crate) fn of(image: &Image) -> Self {
        Self {
            manifest: image.manifest.clone(),
            layers: image.layers.clone(),
            ..Self::new(&image.id, image.last_tagged)
        }
    }

    pub(crate) fn tagged(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.last_tagged)
    }
}
