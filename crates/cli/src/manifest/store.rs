//! Lists that are not pushed yet: a directory each below `manifests` in the client's configuration, in it a file for each
//! manifest. The layout is docker's.

use std::path::PathBuf;

use oci::Reference;

use super::{ImageManifest, json};
use crate::report::{Failure, io_failure};
use crate::session::Session;

/// The lists of a user.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
}

impl Store {
    pub(crate) fn new(session: &Session) -> Self {
        Self {
            root: session
                .env
                .absolute(session.config_directory())
                .join("manifests"),
        }
    }

    /// All manifests of a list, in the order of their names; none where there is no such list.
    pub(crate) fn list(&self, list: &Reference) -> Result<Option<Vec<ImageManifest>>, Failure> {
        let directory = self.directory(list);
        let failed =
            |error: std::io::Error| io_failure("open", &directory.display().to_string(), &error);
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(failed)?,
        };
        let mut files = Vec::new();
        for entry in entries {
            files.push(entry.map_err(failed)?.path());
        }
        files.sort();
        let mut manifests = Vec::new();
        for file in files {
            manifests.extend(read(&file)?);
        }
        Ok(Some(manifests))
    }

    /// One manifest of a list.
    pub(crate) fn get(
        &self,
        list: &Reference,
        manifest: &Reference,
    ) -> Result<Option<ImageManifest>, Failure> {
        read(&self.file(list, manifest))
    }

    /// Puts a manifest into a list; both may be new.
    pub(crate) fn save(
        &self,
        list: &Reference,
        name: &Reference,
        manifest: &ImageManifest,
    ) -> Result<(), Failure> {
        let failed = |error: store::Error| Failure::new(error.to_string());
        store::create_dir_all(&self.directory(list)).map_err(failed)?;
        let text = json::compact(manifest)?;
        store::write_atomic(&self.file(list, name), text.as_bytes(), false).map_err(failed)
    }

    pub(crate) fn remove(&self, list: &Reference) -> Result<(), Failure> {
        store::remove_tree(&self.directory(list)).map_err(|error| Failure::new(error.to_string()))
    }

    fn directory(&self, list: &Reference) -> PathBuf {
        self.root.join(file_name(list))
    }

    fn file(&self, list: &Reference, manifest: &Reference) -> PathBuf {
        self.directory(list).join(file_name(manifest))
    }
}

/// What is said of a list or a manifest that is not there.
pub(crate) fn missing(reference: &Reference) -> Failure {
    Failure::new(format!("No such manifest: {reference}"))
}

fn read(path: &std::path::Path) -> Result<Option<ImageManifest>, Failure> {
    let shown = path.display().to_string();
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| Failure::new(format!("parse {shown}: {error}"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_failure("open", &shown, &error)),
    }
}

/// A reference has no signs but those that are replaced here that would lead elsewhere.
fn file_name(reference: &Reference) -> String {
    reference.to_string().replace(':', "-").replace('/', "_")
}
