//! Manifests, indexes and configurations.

use oci::image::{ArchiveImage, Document};
use oci::{ImageConfig, Schema1};

pub(crate) const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "\\u0000",
    "\\ud800",
    "\"schemaVersion\":1",
    "\"schemaVersion\":2",
    "\"config\"",
    "\"layers\"",
    "\"manifests\"",
    "\"mediaType\"",
    "\"fsLayers\"",
    "\"history\"",
    "\"v1Compatibility\"",
    "\"rootfs\"",
    "\"diff_ids\"",
    "\"Cmd\"",
    "\"Entrypoint\"",
    "\"Env\"",
    "\"Volumes\"",
    "\"Labels\"",
    "\"size\":-1",
    "\"annotations\"",
    "\"platform\"",
    "sha256:",
    "[[[[[[[[[[[[[[[[",
];

/// A document is one thing only, whoever reads it.
pub(crate) fn manifest(input: &[u8]) -> String {
    let of_today = match Document::parse(input) {
        Ok(Document::Manifest(manifest)) => {
            let again = serde_json::to_vec(&manifest).expect("a manifest is JSON");
            let again = Document::parse(&again).expect("what was understood is understood again");
            assert_eq!(again, Document::Manifest(manifest));
            "an image".to_owned()
        }
        Ok(Document::Index(index)) => {
            let again = serde_json::to_vec(&index).expect("an index is JSON");
            let again = Document::parse(&again).expect("what was understood is understood again");
            assert_eq!(again, Document::Index(index));
            "an index".to_owned()
        }
        Err(error) => error.to_string(),
    };
    let old = match Schema1::parse(input) {
        Ok(old) => {
            assert!(Document::parse(input).is_err(), "two formats at once");
            // What the layers unpack to has the same form as what they are called.
            let config = old.config(&old.layers);
            match ImageConfig::parse(&config) {
                Ok(config) => {
                    assert_eq!(config.rootfs.diff_ids, old.layers);
                    "an old image".to_owned()
                }
                Err(error) => format!("an old image, but {error}"),
            }
        }
        Err(error) => error.to_string(),
    };
    let archive = match ArchiveImage::parse_list(input) {
        Ok(_) => "images".to_owned(),
        Err(error) => error.to_string(),
    };
    format!("{of_today}; {old}; {archive}")
}

/// A configuration that was written here is read as what it was.
pub(crate) fn config(input: &[u8]) -> String {
    match ImageConfig::parse(input) {
        Ok(config) => {
            let again = ImageConfig::parse(&config.encode())
                .expect("what was understood is understood again");
            assert_eq!(again, config);
            format!(
                "a configuration, command {}, history {}",
                config.config.cmd.is_some(),
                !config.history.is_empty()
            )
        }
        Err(error) => error.to_string(),
    }
}
