//! Manifests of schema 1, which Docker wrote before 2016: read, never written.
//!
//! Such a manifest lists its layers from the top down, and beside each the configuration that the image had with that layer
//! on top. It says neither how long a layer is nor what it unpacks to: an image's configuration can be made of it only
//! when its layers are there.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::image::{RootFs, given, object, parse};
use crate::{Digest, Error};

const WHAT: &str = "manifest of schema 1";

/// Go's word for a time that is not given.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What belonged to the old format of images, and to no configuration since.
const DROPPED: [&str; 6] = ["id", "parent", "Size", "parent_id", "layer_id", "throwaway"];

/// An image in this format, checked.
#[derive(Debug)]
pub struct Schema1 {
    /// The layers, lowest first. The same may be there twice.
    pub layers: Vec<Digest>,
    history: Vec<History>,
    top: BTreeMap<String, Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    fs_layers: Vec<Layer>,
    history: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    blob_sum: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    v1_compatibility: String,
}

/// What is used of an old configuration.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Old {
    #[serde(deserialize_with = "given")]
    id: String,
    #[serde(deserialize_with = "given")]
    parent: String,
    #[serde(deserialize_with = "given")]
    created: String,
    #[serde(deserialize_with = "given")]
    author: String,
    #[serde(deserialize_with = "given")]
    comment: String,
    #[serde(deserialize_with = "given")]
    throwaway: bool,
    #[serde(deserialize_with = "given")]
    container_config: OldConfig,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OldConfig {
    #[serde(rename = "Cmd")]
    cmd: Option<Vec<String>>,
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("texts and lists are always JSON")
}

/// In the order in which Docker writes it: the image's id depends on it.
#[derive(Debug, Serialize)]
struct History {
    created: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    author: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    created_by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    empty_layer: bool,
}

impl Schema1 {
    /// Reads a manifest, signed or not. What it is known by was verified before.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        object(WHAT, bytes)?;
        let document: Document = parse(WHAT, bytes)?;
        if document.schema_version != 1 {
            return refuse(format!("schema version {}", document.schema_version));
        }
        let count = document.fs_layers.len();
        if document.history.len() != count {
            return refuse("length of history not equal to number of layers");
        }
        if count == 0 {
            return refuse("no FSLayers in manifest");
        }
        let top = &document.history[0].v1_compatibility;
        let mut top: BTreeMap<String, Box<RawValue>> = parse(WHAT, top.as_bytes())?;
        top.retain(|name, _| !DROPPED.contains(&name.as_str()));
        let mut steps = Vec::new();
        for (layer, entry) in document.fs_layers.into_iter().zip(document.history) {
            let old: Old = parse(WHAT, entry.v1_compatibility.as_bytes())?;
            steps.push((layer.blob_sum, old));
        }
        let steps = check_chain(steps)?;
        let mut image = Self {
            layers: Vec::new(),
            history: Vec::new(),
            top,
        };
        for (blob, old) in steps.into_iter().rev() {
            image.history.push(History {
                created: Some(old.created)
                    .filter(|created| !created.is_empty())
                    .unwrap_or_else(|| NEVER.to_owned()),
                author: old.author,
                created_by: old.container_config.cmd.unwrap_or_default().join(" "),
                comment: old.comment,
                empty_layer: old.throwaway,
            });
            if !old.throwaway {
                image.layers.push(blob);
            }
        }
        Ok(image)
    }

    /// What the image says of the machine that it is for.
    pub fn word(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.top.get(name)?.get()).ok()
    }

    /// The image's configuration, as Docker makes it, once what the layers unpack to is known.
    pub fn config(&self, diff_ids: &[Digest]) -> Vec<u8> {
        let mut fields = self.top.clone();
        let rootfs = RootFs {
            kind: "layers".to_owned(),
            diff_ids: diff_ids.to_vec(),
        };
        fields.insert("rootfs".to_owned(), raw(&rootfs));
        fields.insert("history".to_owned(), raw(&self.history));
        let text = serde_json::to_string(&fields).expect("texts and maps are always JSON");
        // Go escapes what HTML gives a meaning; outside of strings there is none of it.
        text.replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
            .into_bytes()
    }
}

/// Each step must name the one below as its parent. One that is there twice in a row counts once.
fn check_chain(steps: Vec<(Digest, Old)>) -> Result<Vec<(Digest, Old)>, Error> {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let (mut seen, mut last) = (HashSet::new(), "");
    for (_, old) in &steps {
        if old.id.len() != 64 || !old.id.bytes().all(hex) {
            return refuse(format!("image ID {:?} is invalid", shown(&old.id)));
        }
        if old.id != last && !seen.insert(old.id.as_str()) {
            return refuse(format!("ID {} appears multiple times in manifest", old.id));
        }
        last = &old.id;
    }
    let mut chain: Vec<(Digest, Old)> = Vec::new();
    for (blob, old) in steps.into_iter().rev() {
        match chain.last() {
            None if !old.parent.is_empty() => {
                return refuse("invalid parent ID in the base layer of the image");
            }
            // The lower of two that are the same is kept.
            Some((_, below)) if below.id == old.id => {}
            Some((_, below)) if below.id != old.parent => {
                return refuse(format!(
                    "invalid parent ID. Expected {}, got {}",
                    below.id,
                    shown(&old.parent)
                ));
            }
            _ => chain.push((blob, old)),
        }
    }
    chain.reverse();
    Ok(chain)
}

/// The beginning of a text that may be anything.
fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::Document {
        what: WHAT,
        reason: reason.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(letter: char) -> Digest {
        Digest::from_hex(&letter.to_string().repeat(64)).unwrap()
    }

    /// Steps from the top down: blob, id, parent, further fields.
    fn manifest(steps: &[(char, char, Option<char>, &str)]) -> Vec<u8> {
        let id = |letter: char| letter.to_string().repeat(64);
        let layers: Vec<_> = steps
            .iter()
            .map(|(blob, ..)| serde_json::json!({"blobSum": digest(*blob)}))
            .collect();
        let history: Vec<_> = steps
            .iter()
            .map(|(_, own, parent, more)| {
                let parent = parent.map_or(String::new(), |parent| {
                    format!(",\"parent\":\"{}\"", id(parent))
                });
                let text = format!("{{\"id\":\"{}\"{parent}{more}}}", id(*own));
                serde_json::json!({"v1Compatibility": text})
            })
            .collect();
        serde_json::to_vec(
            &serde_json::json!({"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": layers, "history": history}),
        )
        .unwrap()
    }

    const TOP: &str = r##","architecture":"amd64","os":"linux","created":"2015-01-01T00:00:00Z","Size":7,"config":{"Cmd":["sh"]},"container_config":{"Cmd":["/bin/sh","-c","#(nop) CMD a \\u0026 b"]},"throwaway":true"##;

    #[test]
    fn an_image_is_made_as_docker_makes_it() {
        let bytes = manifest(&[
            ('c', '3', Some('2'), &TOP.replace("\\\\", "\\")),
            ('b', '2', Some('1'), ""),
            ('b', '2', Some('1'), ""),
            ('a', '1', None, ",\"author\":\"me\""),
        ]);
        let image = Schema1::parse(&bytes).unwrap();
        assert_eq!(image.layers, [digest('a'), digest('b')]);
        assert_eq!(image.word("architecture").as_deref(), Some("amd64"));
        let config = image.config(&[digest('d'), digest('e')]);
        let expected = format!(
            r##"{{"architecture":"amd64","config":{{"Cmd":["sh"]}},"container_config":{{"Cmd":["/bin/sh","-c","#(nop) CMD a \u0026 b"]}},"created":"2015-01-01T00:00:00Z","history":[{{"created":"{NEVER}","author":"me"}},{{"created":"{NEVER}"}},{{"created":"2015-01-01T00:00:00Z","created_by":"/bin/sh -c #(nop) CMD a \u0026 b","empty_layer":true}}],"os":"linux","rootfs":{{"type":"layers","diff_ids":["{}","{}"]}}}}"##,
            digest('d'),
            digest('e')
        );
        assert_eq!(String::from_utf8(config).unwrap(), expected);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let refused = |bytes: &[u8]| Schema1::parse(bytes).unwrap_err().to_string();
        for (steps, reason) in [
            (vec![], "no FSLayers in manifest"),
            (vec![('a', '1', Some('2'), "")], "base layer"),
            (
                vec![('b', '2', Some('3'), ""), ('a', '1', None, "")],
                "invalid parent ID. Expected 1111",
            ),
            (
                vec![
                    ('a', '1', Some('2'), ""),
                    ('b', '2', Some('1'), ""),
                    ('a', '1', None, ""),
                ],
                "appears multiple times in manifest",
            ),
            (vec![('a', 'x', None, "")], "is invalid"),
            (vec![('a', '1', None, ",\"created\":[]")], "invalid type"),
        ] {
            let found = refused(&manifest(&steps));
            assert!(found.contains(reason), "{reason}: {found}");
        }
        assert!(
            refused(br#"{"schemaVersion":1,"fsLayers":[],"history":[{"v1Compatibility":"{}"}]}"#)
                .contains("length")
        );
        assert!(
            refused(br#"{"schemaVersion":2,"fsLayers":[],"history":[]}"#).contains("version 2")
        );
        assert!(refused(b"[]").contains("manifest of schema 1"));
    }
}
