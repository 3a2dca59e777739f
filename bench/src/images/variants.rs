//! Images that are made of others: one with another layer, and a thousand small ones.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::tools::SOURCE;
use crate::contestants::{Place, output, shell};

/// Which of the five layers is another one, from zero: one in the middle.
const CHANGED: usize = 3;

/// The image of the fixture for everybody: Docker and Podman cannot unpack a hard link to a file of a lower layer.
pub(super) fn for_all(place: &Place, fixture: &str) -> Result<String> {
    rewrite(place, fixture, "latest", |layer, _| {
        let links = ["data/lower-link", "data/lower-link-2"];
        shell(&[&["tar", "--delete", "--file", layer], &links[..]].concat())
    })
}

/// The same image with a file more in one of its layers.
pub(super) fn with_another_layer(place: &Place, archive: &str) -> Result<String> {
    rewrite(place, archive, "changed", |layer, dir| {
        fs::write(dir.join("another"), "another file\n")?;
        let dir = dir.to_string_lossy();
        shell(&[
            "tar",
            "--append",
            "--file",
            layer,
            "--directory",
            &dir,
            "another",
        ])
    })
}

/// Writes an archive with another layer and tag; returns its path.
fn rewrite(
    place: &Place,
    archive: &str,
    tag: &str,
    change: impl FnOnce(&str, &Path) -> Result<()>,
) -> Result<String> {
    let dir = place.work.join(format!("parts-{tag}"));
    fs::create_dir_all(&dir)?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    shell(&[
        "tar",
        "--extract",
        "--file",
        archive,
        "--directory",
        &text(&dir),
    ])?;
    let read = |name: &str| -> Result<Value> {
        Ok(serde_json::from_str(&fs::read_to_string(dir.join(name))?)?)
    };
    let mut list = read("manifest.json")?;
    let layer = dir.join(list[0]["Layers"][CHANGED].as_str().context("no layer")?);
    change(&text(&layer), &dir)?;
    let name = list[0]["Config"]
        .as_str()
        .context("no configuration")?
        .to_owned();
    let mut config = read(&name)?;
    config["rootfs"]["diff_ids"][CHANGED] = json!(format!("sha256:{}", digest(&layer)?));
    fs::write(dir.join(&name), config.to_string())?;
    list[0]["RepoTags"] = json!([format!("layered:{tag}")]);
    fs::write(dir.join("manifest.json"), list.to_string())?;
    let to = text(&place.work.join(format!("layered-{tag}.tar")));
    shell(&[
        "tar",
        "--create",
        "--file",
        &to,
        "--directory",
        &text(&dir),
        ".",
    ])?;
    fs::remove_dir_all(&dir)?;
    Ok(to)
}

/// KiB of the changed layer as the registry keeps it.
pub(super) fn changed_length(place: &Place) -> Result<f64> {
    let root = place.work.join("source/docker/registry/v2");
    let link = root.join("repositories/layered/_manifests/tags/changed/current/link");
    let blob = |digest: &str| -> Result<std::path::PathBuf> {
        let hex = digest.trim().strip_prefix("sha256:").context("no digest")?;
        Ok(root.join(format!("blobs/sha256/{}/{hex}/data", &hex[..2])))
    };
    let manifest = fs::read_to_string(blob(&fs::read_to_string(&link)?)?)
        .with_context(|| format!("read the manifest of {SOURCE}"))?;
    let manifest: Value = serde_json::from_str(&manifest)?;
    let size = manifest["layers"][CHANGED]["size"].as_f64();
    Ok(size.context("no size")? / 1024.0)
}

/// Writes an archive of a thousand images that differ in a label only.
pub(super) fn thousand(place: &Place) -> Result<String> {
    let dir = place.work.join("thousand");
    fs::create_dir_all(&dir)?;
    let layer = place.work.join("layer/layer.tar");
    fs::copy(&layer, dir.join("layer.tar"))?;
    let diff_id = format!("sha256:{}", digest(&layer)?);
    let mut list = Vec::new();
    for number in 0..1000 {
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": { "Cmd": ["sh"], "Labels": { "number": number.to_string() } },
            "rootfs": { "type": "layers", "diff_ids": [diff_id] },
            "history": [{ "created": "2026-01-01T00:00:00Z" }],
        });
        let name = format!("{number}.json");
        fs::write(dir.join(&name), config.to_string())?;
        let tag = format!("thousand:{number}");
        list.push(json!({ "Config": name, "RepoTags": [tag], "Layers": ["layer.tar"] }));
    }
    fs::write(dir.join("manifest.json"), Value::from(list).to_string())?;
    let archive = place
        .work
        .join("thousand.tar")
        .to_string_lossy()
        .into_owned();
    shell(&[
        "tar",
        "--create",
        "--file",
        &archive,
        "--directory",
        &dir.to_string_lossy(),
        ".",
    ])?;
    Ok(archive)
}

fn digest(path: &Path) -> Result<String> {
    let sum = output(&["sha256sum", &path.to_string_lossy()])?;
    Ok(sum
        .split_whitespace()
        .next()
        .context("no digest")?
        .to_owned())
}
