//! Save images as an archive.

use std::io::Write;
use std::sync::Arc;

use oci::image::Platform;
use tokio::sync::oneshot;

use crate::blocking::{Class, blocking};
use crate::{Engine, Error, Result};

/// Finds the images, then writes them on; `writer` may block. What fails before the first byte is returned, what fails
/// later is what `end` gives.
pub async fn save(
    engine: &Arc<Engine>,
    (names, platforms): (Vec<String>, Vec<Platform>),
    mut writer: Box<dyn Write + Send>,
) -> Result<oneshot::Receiver<Result<()>>> {
    let (begun, found) = oneshot::channel();
    let (ended, end) = oneshot::channel();
    let engine = engine.clone();
    let saving = move || {
        let images = &engine.images;
        let saving = match images.begin_save(&names, &platforms) {
            Ok(saving) => saving,
            Err(image::Error::NotFound(name)) => {
                return drop(begun.send(Err(Error::NoSuchImage(name))));
            }
            Err(error) => return drop(begun.send(Err(error.into()))),
        };
        // Whoever asked may have gone; then the writer says so.
        drop(begun.send(Ok(())));
        let written = saving.write(&mut *writer);
        if written.is_ok() {
            for name in &names {
                let id = images.resolve(name).map(|image| image.id.to_string());
                engine.image_event("save", &id.unwrap_or_else(|_| name.clone()), name);
            }
        }
        drop(ended.send(written.map_err(Error::from)));
    };
    tokio::spawn(blocking("save images", Class::Stream, saving));
    match found.await {
        Ok(found) => found.map(|()| end),
        Err(_) => Err(Error::Broken {
            what: "save images".to_owned(),
            why: "it ended without a word".to_owned(),
        }),
    }
}
