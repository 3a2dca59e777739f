//! Find damage that came from elsewhere (a disk, a hand) and mend it.
//!
//! What is in memory was read from the disk when the engine began, and is what the disk is compared with. What cannot be
//! mended is removed, so that the next pull or load makes it anew: nothing damaged may look as if it were there. Nothing is
//! touched that a running container stands on, or that a pull, push, load or save in progress has pinned.

mod blobs;
mod quarantine;
mod records;
mod trees;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use oci::Digest;

use crate::images::KEPT;
use crate::{Error, Image, Images, InUse};

/// What was found in a store.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many images were looked at.
    pub images: usize,
    /// How many blobs were read.
    pub blobs: usize,
    /// Length of all blobs.
    pub bytes: u64,
    /// How many layers were looked at.
    pub layers: usize,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Something that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is.
    pub kind: Kind,
    /// Its name: a digest, a key, a reference or a path.
    pub subject: String,
    /// What is wrong.
    pub what: String,
    /// What has become of it.
    pub outcome: Outcome,
}

/// What a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A blob.
    Blob,
    /// A layer's tree.
    Layer,
    /// An image.
    Image,
    /// A name of an image.
    Reference,
    /// Something that is nobody's.
    Leftover,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blob => "blob",
            Self::Layer => "layer",
            Self::Image => "image",
            Self::Reference => "reference",
            Self::Leftover => "leftover",
        })
    }
}

/// What has become of a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: no repair was asked for.
    Found,
    /// It is gone, in these words.
    Repaired(String),
    /// It stays, for this reason.
    Left(String),
}

/// Why something stays.
const PINNED: &str = "a pull, push, load or save in progress holds it: try again later";

/// Who needs what.
pub struct Users<'a> {
    /// A container that was made from an image, a running one before others.
    pub of_image: &'a dyn Fn(&Digest) -> Option<InUse>,
    /// Whether the container of this tree runs.
    pub runs: &'a dyn Fn(&str) -> bool,
}

impl fmt::Debug for Users<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").finish_non_exhaustive()
    }
}

/// A check in progress.
struct Check<'a> {
    images: &'a Images,
    users: &'a Users<'a>,
    repair: bool,
    report: Report,
}

impl Images {
    /// Looks at everything, reads every blob, and mends what it finds if that is asked for.
    pub fn fsck(&self, users: &Users<'_>, repair: bool) -> Result<Report, Error> {
        let mut check = Check {
            images: self,
            users,
            repair,
            report: Report::default(),
        };
        check.report.images = self.read().images.len();
        check.records()?;
        check.blobs()?;
        check.trees()?;
        check.leftovers()?;
        check.quarantine()?;
        if repair {
            self.snapshots.reap()?;
        }
        Ok(check.report)
    }

    /// Forgets the archives of an image that cannot be had any more, and the manifest that promises them.
    fn forget_archives(&self, id: &Digest, layers_too: bool) -> Result<(), Error> {
        let _change = self.change();
        let Some(image) = self.read().images.get(id).cloned() else {
            return Ok(());
        };
        let mut image = Image::clone(&image);
        image.manifest = None;
        if layers_too {
            image.layers = Vec::new();
        }
        self.keep(&Arc::new(image))
    }
}

impl Check<'_> {
    fn tell(&mut self, kind: Kind, subject: impl Into<String>, what: String, outcome: Outcome) {
        self.report.problems.push(Problem {
            kind,
            subject: subject.into(),
            what,
            outcome,
        });
    }

    fn pinned(&self, key: &str) -> bool {
        let pinned = |keys: &HashMap<String, usize>| keys.contains_key(key);
        self.images.layers.while_pinned(pinned)
    }

    /// Removes an image that cannot be mended, with its names.
    fn give_up(&self, image: &Image) -> Result<Outcome, Error> {
        let id = image.id.as_str();
        if self.pinned(id) {
            return Ok(Outcome::Left(PINNED.to_owned()));
        }
        match self.images.remove(id, true, false, self.users.of_image) {
            Ok(_) | Err(Error::NotFound(_)) => Ok(Outcome::Repaired(format!(
                "removed {}: pull or load it again",
                name(image)
            ))),
            Err(error @ Error::Conflict { .. }) => Ok(Outcome::Left(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Beginnings and blobs of pulls that nobody continues, and what a killed process left.
    fn leftovers(&mut self) -> Result<(), Error> {
        let found = self.images.layers.while_pinned(|pinned| {
            let used = self.images.read().blobs();
            let wanted =
                |digest: &Digest| used.contains(digest) || pinned.contains_key(digest.as_str());
            let found = self.images.content.leftovers(wanted, KEPT)?;
            if self.repair {
                for path in &found {
                    store::remove_tree(path)?;
                }
            }
            Ok::<_, Error>(found)
        })?;
        for path in found {
            let outcome = if self.repair {
                Outcome::Repaired("removed".to_owned())
            } else {
                Outcome::Found
            };
            let what = "nobody goes on with it".to_owned();
            self.tell(Kind::Leftover, path.to_string_lossy(), what, outcome);
        }
        Ok(())
    }
}

/// How an image is called in a sentence.
fn name(image: &Image) -> String {
    let mut names = image.repo_tags.iter().chain(&image.repo_digests);
    names
        .next()
        .map_or_else(|| format!("the image {}", image.id.short()), Clone::clone)
}

/// How images are called in a sentence.
fn names(images: &[Arc<Image>]) -> String {
    let names: Vec<String> = images.iter().map(|image| name(image)).collect();
    names.join(", ")
}
