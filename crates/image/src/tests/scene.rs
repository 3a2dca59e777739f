//! A store of images, a canary outside of it, and archives made by hand.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use content::{Content, digest_of};
use oci::image::Platform;
use snapshots::Snapshots;
use snapshots::archive::Writer;

use crate::{Error, Images, Loaded};

pub(super) struct Scene {
    pub(super) dir: tempfile::TempDir,
    pub(super) images: Images,
}

impl Scene {
    /// Nothing without root.
    pub(super) fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        if fs::metadata(dir.path()).unwrap().uid() != 0 {
            return None;
        }
        fs::create_dir(dir.path().join("CANARY")).unwrap();
        fs::write(dir.path().join("CANARY/file"), "untouched").unwrap();
        let images = open(&dir.path().join("data")).unwrap();
        Some(Self { dir, images })
    }

    pub(super) fn load(&self, archive: &[u8]) -> Result<Vec<String>, Error> {
        self.load_for(archive, &[])
    }

    pub(super) fn load_for(
        &self,
        archive: &[u8],
        platforms: &[Platform],
    ) -> Result<Vec<String>, Error> {
        let mut said = Vec::new();
        let mut reader = archive;
        self.images.load(
            &mut reader as &mut dyn Read,
            platforms,
            &mut |loaded: Loaded| {
                said.push(loaded.to_string());
            },
        )?;
        Ok(said)
    }

    pub(super) fn reopen(self) -> Self {
        let Self { dir, images } = self;
        drop(images);
        let images = open(&dir.path().join("data")).unwrap();
        Self { dir, images }
    }

    pub(super) fn count(&self, path: &str) -> usize {
        fs::read_dir(self.dir.path().join("data").join(path))
            .unwrap()
            .count()
    }

    /// Nothing was stored, nothing is left, nothing outside was touched.
    pub(super) fn check_empty(&self) {
        assert_eq!(self.images.list().len(), 0);
        for path in ["content/ingest", "content/blobs/sha256", "images", "refs"] {
            assert_eq!(self.count(path), 0, "{path}");
        }
        assert_eq!(self.count("snapshots"), 1, "only the empty tree");
        self.check_outside();
    }

    pub(super) fn check_outside(&self) {
        assert_eq!(
            fs::read(self.dir.path().join("CANARY/file")).unwrap(),
            b"untouched"
        );
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 2);
        assert_eq!(
            fs::read_dir(self.dir.path().join("CANARY"))
                .unwrap()
                .count(),
            1
        );
    }
}

fn open(root: &Path) -> Result<Images, Error> {
    let content = Arc::new(Content::open(root)?);
    let snapshots = Arc::new(Snapshots::open(root)?);
    Images::open(root, content, snapshots)
}

pub(super) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (path, content) in files {
        writer.file(path, content, 0o644).unwrap();
    }
    writer.finish().unwrap()
}

pub(super) fn config(layers: &[Vec<u8>], extra: &str) -> Vec<u8> {
    let ids: Vec<String> = layers
        .iter()
        .map(|layer| format!("{:?}", digest_of(layer).as_str()))
        .collect();
    format!(
        r#"{{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","config":{{"Cmd":["sh"]}},{extra}
        "rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        ids.join(",")
    )
    .into_bytes()
}

/// Tags, configuration and layers of one image.
type Saved<'a> = (&'a [&'a str], &'a [u8], &'a [Vec<u8>]);

/// What `docker save` wrote for years; the manifest comes last.
pub(super) fn saved(images: &[Saved<'_>]) -> Vec<u8> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut manifest = Vec::new();
    for (tags, config, layers) in images {
        let name = format!("{}.json", digest_of(config).hex());
        let mut paths = Vec::new();
        for layer in *layers {
            let path = format!("{}/layer.tar", digest_of(layer).hex());
            files.push((path.clone(), layer.clone()));
            paths.push(format!("{path:?}"));
        }
        files.push((name.clone(), config.to_vec()));
        manifest.push(format!(
            r#"{{"Config":{name:?},"RepoTags":{tags:?},"Layers":[{}]}}"#,
            paths.join(",")
        ));
    }
    files.push((
        "manifest.json".to_owned(),
        format!("[{}]", manifest.join(",")).into_bytes(),
    ));
    pack(&files)
}

pub(super) fn pack(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(path, content)| (path.as_str(), content.as_slice()))
        .collect();
    tar(&files)
}

/// A simple image of one layer with one file.
pub(super) fn simple(tags: &[&str], text: &str) -> Vec<u8> {
    let layers = [tar(&[("file", text.as_bytes())])];
    saved(&[(tags, &config(&layers, ""), &layers)])
}

/// An OCI layout being made.
#[derive(Default)]
pub(super) struct Layout(pub(super) Vec<(String, Vec<u8>)>);

impl Layout {
    /// Adds a blob; returns its descriptor without the closing brace.
    pub(super) fn blob(&mut self, kind: &str, bytes: &[u8]) -> String {
        let digest = digest_of(bytes);
        self.0
            .push((format!("blobs/sha256/{}", digest.hex()), bytes.to_vec()));
        format!(
            r#"{{"mediaType":"{kind}","digest":"{digest}","size":{}"#,
            bytes.len()
        )
    }

    pub(super) fn image(&mut self, layers: &[Vec<u8>], stored: &[Vec<u8>]) -> String {
        self.large_image(layers, stored, 0)
    }

    /// An image with so many blanks in its manifest.
    pub(super) fn large_image(
        &mut self,
        layers: &[Vec<u8>],
        stored: &[Vec<u8>],
        blanks: usize,
    ) -> String {
        let config = config(layers, "");
        let config = self.blob("application/vnd.oci.image.config.v1+json", &config);
        let layers: Vec<String> = stored
            .iter()
            .map(|layer| self.blob("application/vnd.oci.image.layer.v1.tar+gzip", layer) + "}")
            .collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{config}}},"layers":[{}]{}}}"#,
            layers.join(","),
            " ".repeat(blanks)
        );
        self.blob(
            "application/vnd.oci.image.manifest.v1+json",
            manifest.as_bytes(),
        )
    }

    pub(super) fn index(descriptors: &[String]) -> Vec<u8> {
        format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            descriptors.join(",")
        )
        .into_bytes()
    }

    pub(super) fn done(mut self, descriptors: &[String]) -> Vec<u8> {
        self.0.push((
            "oci-layout".to_owned(),
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        ));
        self.0
            .push(("index.json".to_owned(), Self::index(descriptors)));
        pack(&self.0)
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
