//! Images.

use std::collections::BTreeMap;

use api::image::{DeleteItem, HistoryItem, Inspect, Metadata, RootFs, Summary};
use api::progress::Message;
use api::version::ApiVersion;
use engine::ops::image::{ImageView, Import};
use image::fsck::{Outcome, Problem, Report};
use image::{Description, Image, ImageConfigChanges, Loaded, Removed};
use oci::Reference;
use oci::image::Platform;
use serde_json::{Value, json};

use super::time;
use crate::error::{Error, Result};
use crate::query::Query;

/// Fields of an image's configuration that are written even when unset, and as what.
const ALWAYS: [(&str, &str); 8] = [
    ("Cmd", "null"),
    ("Entrypoint", "null"),
    ("Env", "null"),
    ("Labels", "null"),
    ("OnBuild", "null"),
    ("User", "\"\""),
    ("Volumes", "null"),
    ("WorkingDir", "\"\""),
];
/// The same until 1.49, beside them.
const UNTIL_1_49: [(&str, &str); 9] = [
    ("AttachStderr", "false"),
    ("AttachStdin", "false"),
    ("AttachStdout", "false"),
    ("Domainname", "\"\""),
    ("Hostname", "\"\""),
    ("Image", "\"\""),
    ("OpenStdin", "false"),
    ("StdinOnce", "false"),
    ("Tty", "false"),
];

/// One entry of the list.
pub fn summary(view: &ImageView, version: ApiVersion) -> Summary {
    let image = &view.image;
    let size = image.size.cast_signed();
    let labels = &image.config.config.labels;
    let (mut repo_tags, mut repo_digests) = (image.repo_tags.clone(), image.repo_digests.clone());
    if repo_tags.is_empty() && repo_digests.is_empty() && !version.at_least(43) {
        repo_tags = vec!["<none>:<none>".to_owned()];
        repo_digests = vec!["<none>@<none>".to_owned()];
    }
    // The oldest clients get null for a list that is empty.
    let repo_digests = (!repo_digests.is_empty() || version.at_least(43)).then_some(repo_digests);
    Summary {
        containers: i64::try_from(view.containers).unwrap_or(-1),
        created: stdx::time::parse_rfc3339(&image.config.created).map_or(0, time::unix),
        id: image.id.to_string(),
        labels: (!labels.is_empty()).then(|| labels.clone()),
        repo_tags,
        repo_digests,
        shared_size: view.shared.map_or(-1, u64::cast_signed),
        size,
        virtual_size: if version.at_least(44) { 0 } else { size },
        ..Summary::default()
    }
}

/// One image.
pub fn inspect(image: &Image, version: ApiVersion) -> Inspect {
    let config = &image.config;
    let size = image.size.cast_signed();
    Inspect {
        id: image.id.to_string(),
        repo_tags: image.repo_tags.clone(),
        repo_digests: image.repo_digests.clone(),
        comment: config.comment.clone(),
        created: (!config.created.is_empty()).then(|| config.created.clone()),
        container_config: (!version.at_least(45)).then(api::config::Config::default),
        docker_version: config.docker_version.clone(),
        author: config.author.clone(),
        config: container_config(image, version),
        architecture: config.architecture.clone(),
        variant: config.variant.clone(),
        os: config.os.clone(),
        os_version: config.os_version.clone(),
        size,
        virtual_size: if version.at_least(44) { 0 } else { size },
        graph_driver: super::inspect::graph_driver(""),
        root_fs: RootFs {
            kind: "layers".to_owned(),
            layers: config
                .rootfs
                .diff_ids
                .iter()
                .map(ToString::to_string)
                .collect(),
        },
        metadata: Metadata {
            last_tag_time: stdx::time::rfc3339_nano(image.last_tagged),
        },
        ..Inspect::default()
    }
}

/// The image's own configuration, with the empty fields that clients of that version expect.
fn container_config(image: &Image, version: ApiVersion) -> BTreeMap<String, Value> {
    let mut fields = match serde_json::to_value(&image.config.config) {
        Ok(Value::Object(map)) => map.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    let old = if version.at_least(50) {
        &[][..]
    } else {
        &UNTIL_1_49
    };
    for (name, value) in ALWAYS.iter().chain(old) {
        fields
            .entry((*name).to_owned())
            .or_insert_with(|| value.parse().unwrap_or(json!(null)));
    }
    if version.at_least(50) {
        // Fields of containers that old images carry along are no part of an image.
        for (name, _) in UNTIL_1_49 {
            fields.remove(name);
        }
    }
    fields
}

/// How an image was made, newest step first; steps that made no layer have no size.
pub fn history(image: &Image) -> Vec<HistoryItem> {
    let mut sizes = image.layer_sizes.iter();
    let item = |step: &oci::image::History| HistoryItem {
        comment: step.comment.clone(),
        created: stdx::time::parse_rfc3339(&step.created).map_or(0, time::unix),
        created_by: step.created_by.clone(),
        id: "<missing>".to_owned(),
        size: if step.empty_layer {
            0
        } else {
            sizes.next().map_or(0, |size| size.cast_signed())
        },
        tags: None,
    };
    let mut items: Vec<HistoryItem> = image.config.history.iter().map(item).collect();
    items.reverse();
    if let Some(newest) = items.first_mut() {
        newest.id = image.id.to_string();
        newest.tags = (!image.repo_tags.is_empty()).then(|| image.repo_tags.clone());
    }
    items
}

/// What a removal did.
pub fn removed(removed: Removed) -> DeleteItem {
    match removed {
        Removed::Untagged(untagged) => DeleteItem {
            untagged,
            ..DeleteItem::default()
        },
        Removed::Deleted(deleted) => DeleteItem {
            deleted,
            ..DeleteItem::default()
        },
    }
}

/// What a check of the store found.
pub fn report(report: Report) -> api::fsck::Report {
    let problem = |problem: Problem| {
        let (outcome, detail) = match problem.outcome {
            Outcome::Found => ("found", String::new()),
            Outcome::Repaired(detail) => ("repaired", detail),
            Outcome::Left(detail) => ("left", detail),
        };
        api::fsck::Problem {
            kind: problem.kind.to_string(),
            subject: problem.subject,
            what: problem.what,
            outcome: outcome.to_owned(),
            detail,
        }
    };
    api::fsck::Report {
        images: report.images,
        blobs: report.blobs,
        bytes: report.bytes,
        layers: report.layers,
        problems: report.problems.into_iter().map(problem).collect(),
    }
}

/// What a load did, in the words that `docker load` prints.
pub fn loaded(loaded: &Loaded) -> Message {
    Message::stream(format!("{loaded}\n"))
}

/// `repo` and `tag` of a request.
pub fn reference(repo: &str, tag: &str) -> Result<Reference> {
    let parsed: Reference = repo.parse().map_err(wrong)?;
    if parsed.digest.is_some() {
        return super::invalid("refusing to create a tag with a digest reference");
    }
    if tag.is_empty() {
        Ok(parsed.with_default_tag())
    } else {
        parsed.with_tag(tag).map_err(wrong)
    }
}

fn wrong(error: oci::Error) -> Error {
    Error::Invalid(error.to_string())
}

/// The machine that an import is for.
fn platform(text: &str) -> Result<Platform> {
    let platform =
        image::platform::parse(text).map_err(|error| Error::Invalid(error.to_string()))?;
    if platform.os != "linux" {
        return super::invalid("operating system is not supported");
    }
    Ok(platform)
}

/// Parameters of an import.
pub fn import(query: &Query) -> Result<Import> {
    let repo = query.text("repo");
    let reference = if repo.is_empty() {
        None
    } else {
        Some(reference(repo, query.text("tag"))?)
    };
    let changes: Vec<String> = query.all("changes").map(str::to_owned).collect();
    let platform = match query.text("platform") {
        "" => None,
        text => Some(platform(text)?),
    };
    let changes =
        ImageConfigChanges::parse(&changes).map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(Import {
        reference,
        about: Description {
            changes,
            platform,
            message: query.text("message").to_owned(),
        },
    })
}
