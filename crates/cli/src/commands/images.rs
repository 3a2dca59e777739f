//! `images` and `tag`.

use api::image::Summary;
use client::{Method, Request, query};

use super::{segment, tree};
use crate::flags::Given;
use crate::format::{self, Listing};
use crate::reference;
use crate::report::{self, Failure, Outcome};
use crate::session::Session;
use crate::template::Value;

const COLUMNS: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}";
const COLUMNS_WITH_DIGEST: &str = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}";

pub(super) const LISTING: Listing = Listing {
    columns: COLUMNS,
    headings: &[
        ("ID", "IMAGE ID"),
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("Digest", "DIGEST"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("Size", "SIZE"),
        ("Containers", "CONTAINERS"),
        ("VirtualSize", "SIZE"),
        ("SharedSize", "SHARED SIZE"),
        ("UniqueSize", "UNIQUE SIZE"),
    ],
    type_name: "*formatter.imageContext",
};

/// `images [OPTIONS] [REPOSITORY[:TAG]]`
pub(crate) async fn list(session: &Session, given: &Given) -> Outcome {
    if given.is("tree") {
        tree::check(given)?;
    }
    let mut wanted = given.list("filter");
    wanted.extend(given.args.first().map(|name| format!("reference={name}")));
    let filters = format::filters(&wanted);
    let mut pairs = Vec::new();
    if given.is("all") {
        pairs.push(("all", "1"));
    }
    pairs.extend(filters.as_deref().map(|filters| ("filters", filters)));
    let request = Request::new(Method::Get, query("/images/json", &pairs));
    let images: Vec<Summary> = session.client().await?.call(request).await?;
    if given.is("tree") {
        tree::show(session, &images);
        return Ok(0);
    }
    let chosen = given.get("format").filter(|format| !format.is_empty());
    let configured = || {
        session
            .config()
            .images_format
            .as_deref()
            .filter(|format| !format.is_empty() && !given.is("quiet"))
    };
    let chosen = chosen.or_else(configured);
    let digests = given.is("digests") || chosen.is_some_and(|format| format.contains(".Digest"));
    let truncate = !given.is("no-trunc");
    let rows = images
        .iter()
        .flat_map(|image| rows(image, truncate, digests));
    let columns = if given.is("digests") {
        COLUMNS_WITH_DIGEST
    } else {
        COLUMNS
    };
    report::print(&format::render(
        Listing { columns, ..LISTING },
        chosen,
        given.is("quiet"),
        rows,
    )?);
    Ok(0)
}

/// One row for each of its names.
fn rows(image: &Summary, truncate: bool, digests: bool) -> Vec<Value> {
    const NONE: &str = "<none>";
    let split = |name: &str, at: char| {
        let (repository, rest) = name.rsplit_once(at).unwrap_or((name, NONE));
        (repository.to_owned(), rest.to_owned())
    };
    let digests_of = |repository: &str| -> Vec<String> {
        let of = image
            .repo_digests
            .iter()
            .flatten()
            .map(|digest| split(digest, '@'));
        of.filter(|(name, _)| name == repository)
            .map(|(_, digest)| digest)
            .collect()
    };
    let mut names: Vec<(String, String, String)> = Vec::new();
    for (repository, tag) in image.repo_tags.iter().map(|name| split(name, ':')) {
        let known = if digests {
            digests_of(&repository)
        } else {
            Vec::new()
        };
        if known.is_empty() {
            names.push((repository, tag, NONE.to_owned()));
        } else {
            names.extend(
                known
                    .into_iter()
                    .map(|digest| (repository.clone(), tag.clone(), digest)),
            );
        }
    }
    if names.is_empty() {
        let untagged = image
            .repo_digests
            .iter()
            .flatten()
            .map(|digest| split(digest, '@'));
        names.extend(untagged.map(|(repository, digest)| (repository, NONE.to_owned(), digest)));
    }
    if names.is_empty() {
        names.push((NONE.to_owned(), NONE.to_owned(), NONE.to_owned()));
    }
    names
        .into_iter()
        .map(|(repository, tag, digest)| row(image, truncate, repository, tag, digest))
        .collect()
}

/// An image under one of its names.
pub(super) fn row(
    image: &Summary,
    truncate: bool,
    repository: String,
    tag: String,
    digest: String,
) -> Value {
    let id = if truncate {
        format::short_id(&image.id)
    } else {
        &image.id
    };
    #[expect(clippy::cast_precision_loss, reason = "four digits are printed")]
    let exact = |bytes: i64| stdx::size::human_size(bytes as f64);
    // What was not asked for is not known.
    let known = |number: i64, shown: &dyn Fn() -> String| {
        if number < 0 {
            "N/A".to_owned()
        } else {
            shown()
        }
    };
    let fields = vec![
        ("ID", id.to_owned()),
        ("Repository", repository),
        ("Tag", tag),
        ("Digest", digest),
        (
            "CreatedSince",
            if image.created == 0 {
                "N/A".to_owned()
            } else {
                format!("{} ago", format::age(image.created))
            },
        ),
        ("CreatedAt", format::go_time(image.created)),
        ("Size", format::size(image.size)),
        (
            "Containers",
            known(image.containers, &|| image.containers.to_string()),
        ),
        ("VirtualSize", exact(image.size)),
        (
            "SharedSize",
            known(image.shared_size, &|| exact(image.shared_size)),
        ),
        (
            "UniqueSize",
            known(image.shared_size, &|| exact(image.size - image.shared_size)),
        ),
    ];
    Value::structure(LISTING.type_name, fields)
}

/// `tag SOURCE TARGET`
pub(crate) async fn tag(session: &Session, given: &Given) -> Outcome {
    let (source, target) = (&given.args[0], &given.args[1]);
    reference::familiar(source).map_err(|reason| {
        Failure::new(format!(
            "Error parsing reference: {source:?} is not a valid repository/tag: {reason}"
        ))
    })?;
    let name = reference::familiar(target).map_err(|reason| {
        Failure::new(format!(
            "Error parsing reference: {target:?} is not a valid repository/tag: {reason}"
        ))
    })?;
    let (repository, tag) = name.rsplit_once(':').unwrap_or((&name, "latest"));
    let path = query(
        &format!("/images/{}/tag", segment(source)),
        &[("repo", repository), ("tag", tag)],
    );
    session
        .client()
        .await?
        .perform(Request::new(Method::Post, path))
        .await?;
    Ok(0)
}
