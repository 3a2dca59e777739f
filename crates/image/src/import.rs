//! Make an image of one layer.

use std::io::{self, Read, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

use content::Ingest;
use oci::image::{ContainerConfig, History, RootFs};
use oci::{ImageConfig, Reference};
use snapshots::archive::Writer;

use crate::image::Origin;
use crate::load::{LAYER, architecture, descriptor};
use crate::{Error, Image, ImageConfigChanges, Images, decompress};

impl Images {
    /// Makes an image of a root filesystem's archive (gzip, zstd, xz or plain); `message` becomes its comment.
    pub fn import(
        &self,
        reader: &mut dyn Read,
        reference: Option<&Reference>,
        changes: ImageConfigChanges,
        message: &str,
    ) -> Result<Arc<Image>, Error> {
        let mut config = ContainerConfig::default();
        changes.apply(&mut config);
        let created = stdx::time::rfc3339_nano(SystemTime::now());
        self.import_layer(reader, reference, config, &created, message)
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
        self.import_layer(
            &mut layer.as_slice(),
            reference,
            config,
            "1970-01-01T00:00:00Z",
            "",
        )
    }

    fn import_layer(
        &self,
        reader: &mut dyn Read,
        reference: Option<&Reference>,
        config: ContainerConfig,
        created: &str,
        message: &str,
    ) -> Result<Arc<Image>, Error> {
        let reader = decompress(reader).map_err(Error::io("read archive"))?;
        let mut kept = Kept {
            reader,
            ingest: self.content.ingest()?,
        };
        let (digest, _pins) = self.layers.import(&mut kept)?;
        let (_, size) = kept.ingest.commit(Some(&digest), None)?;
        let origin = Origin {
            manifest: None,
            layers: vec![descriptor(LAYER, digest.clone(), size)],
        };
        let history = History {
            created: created.to_owned(),
            comment: message.to_owned(),
            ..History::default()
        };
        let config = ImageConfig {
            created: created.to_owned(),
            architecture: architecture().to_owned(),
            os: "linux".to_owned(),
            comment: message.to_owned(),
            config,
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: vec![digest],
            },
            history: vec![history],
            ..ImageConfig::default()
        };
        let image = self.add(&config.encode(), origin)?;
        if let Some(reference) = reference {
            self.name(&image.id, reference)?;
        }
        self.resolve(image.id.as_str())
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
