//! Make an image of one layer.

use std::io::{self, Read, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

use content::{Ingest, digest_of};
use oci::image::{ContainerConfig, History, Platform, RootFs};
use oci::{ImageConfig, Reference};
use snapshots::archive::Writer;

use crate::image::Origin;
use crate::load::{LAYER, descriptor};
use crate::platform::own;
use crate::{Error, Image, ImageConfigChanges, Images, decompress};

/// What an import cannot see in its archive.
#[derive(Debug, Default)]
pub struct Description {
    /// Changes of the configuration.
    pub changes: ImageConfigChanges,
    /// The machine that the image is for, if not this one.
    pub platform: Option<Platform>,
    /// The comment in its history.
    pub message: String,
}

impl Images {
    /// Makes an image of a root filesystem's archive (gzip, zstd, xz or plain).
    pub fn import(
        &self,
        reader: &mut dyn Read,
        reference: Option<&Reference>,
        about: Description,
    ) -> Result<Arc<Image>, Error> {
        let mut config = described(about.platform.unwrap_or_else(own), about.message);
        about.changes.apply(&mut config.config);
        config.created = stdx::time::rfc3339_nano(SystemTime::now());
        self.import_layer(reader, reference, config)
    }

    /// Makes an image of a few files (path, content, mode), their directories with mode 0755. Same input, same image.
    pub fn import_files(
        &self,
        files: &[(&str, &[u8], u32)],
        config: ContainerConfig,
        reference: Option<&Reference>,
    ) -> Result<Arc<Image>, Error> {
        let mut writer = Writer::new(Vec::new());
        let mut made = Vec::new();
        let mut write = |path: &str, content: &[u8], mode| {
            for (position, _) in path
                .match_indices('/')
                .filter(|(position, _)| *position > 0)
            {
                let parent = &path[..position];
                if !made.iter().any(|made| made == parent) {
                    writer.directory(parent, 0o755)?;
                    made.push(parent.to_owned());
                }
            }
            writer.file(path, content, mode)
        };
        for (path, content, mode) in files {
            write(path.trim_start_matches('/'), content, *mode)
                .map_err(Error::io(format!("add {path:?}")))?;
        }
        let layer = writer.finish().map_err(Error::io("make layer"))?;
        let config = ImageConfig {
            config,
            created: "1970-01-01T00:00:00Z".to_owned(),
            ..described(own(), String::new())
        };
        self.import_layer(&mut layer.as_slice(), reference, config)
    }

    fn import_layer(
        &self,
        reader: &mut dyn Read,
        reference: Option<&Reference>,
        mut config: ImageConfig,
    ) -> Result<Arc<Image>, Error> {
        let reader = decompress(reader).map_err(Error::io("read archive"))?;
        let mut kept = Kept {
            reader,
            ingest: self.content.ingest()?,
        };
        let (digest, _pins) = self.layers.import(&mut kept)?;
        let size = kept.ingest.commit(&digest, None)?;
        let origin = Origin {
            manifest: None,
            layers: vec![descriptor(LAYER, digest.clone(), size)],
        };
        config.rootfs.diff_ids = vec![digest];
        config.history = vec![History {
            created: config.created.clone(),
            comment: config.comment.clone(),
            ..History::default()
        }];
        let config = config.encode();
        // Until it has its name: nobody prunes it before.
        let _unnamed = self.layers.pin_blobs(&[digest_of(&config)]);
        let image = self.add(&config, origin)?;
        if let Some(reference) = reference {
            self.name(&image.id, reference)?;
        }
        self.resolve(image.id.as_str())
    }
}

/// The configuration of an image for a machine, without what is in it.
fn described(platform: Platform, comment: String) -> ImageConfig {
    ImageConfig {
        architecture: platform.architecture,
        variant: platform.variant,
        os: platform.os,
        comment,
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: Vec::new(),
        },
        ..ImageConfig::default()
    }
}

/// Writes down what is read.
struct Kept<'a, R> {
    reader: R,
    ingest: Ingest<'a>,
}

impl<R: Read> Read for Kept<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.ingest.write_all(&buffer[..length])?;
        Ok(length)
    }
}
