//! The image `corten/hello`: made on the spot from the engine's own static program, so that a first container needs no
//! registry. Everything else is found as it is.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use image::Image;
use stdx::ErrorKind;

use crate::{Engine, Error, Result};

/// Its name, as users type it.
const NAME: &str = "corten/hello";

/// Finds an image; makes the one that can be made.
pub(crate) fn resolve(engine: &Arc<Engine>, name: &str) -> Result<Arc<Image>> {
    match engine.images.resolve(name) {
        Ok(image) => Ok(image),
        Err(error) if error.kind() == ErrorKind::NotFound => match name
            .parse::<oci::Reference>()
            .map(oci::Reference::with_default_tag)
        {
            Ok(reference) if reference.familiar() == format!("{NAME}:latest") => {
                make(engine, &reference)
            }
            Ok(reference) => Err(Error::NoSuchImage(reference.familiar())),
            Err(_) => Err(Error::NoSuchImage(name.to_owned())),
        },
        Err(error) => Err(error.into()),
    }
}

fn make(engine: &Engine, reference: &oci::Reference) -> Result<Arc<Image>> {
    let program = own_program(engine)?;
    let config = oci::image::ContainerConfig {
        entrypoint: Some(vec!["/hello".to_owned()]),
        env: vec![format!("PATH={}", crate::container::spec::defaults::PATH)],
        ..oci::image::ContainerConfig::default()
    };
    Ok(engine
        .images
        .import_files(&[("hello", &program, 0o755)], config, Some(reference))?)
}

fn own_program(engine: &Engine) -> Result<Vec<u8>> {
    let what = "read the engine's own program";
    let file = File::from(engine.executable.try_clone().map_err(Error::io(what))?);
    let size = file.metadata().map_err(Error::io(what))?.len();
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0).map_err(Error::io(what))?;
    Ok(bytes)
}
