//! `history`: how an image was made.

use api::image::HistoryItem;
use client::{Method, Request, query};

use super::{platforms, segment};
use crate::flags::Given;
use crate::format::{self, Listing};
use crate::report::{self, Outcome};
use crate::session::Session;
use crate::table::ellipsis;
use crate::template::Value;

const COLUMNS: &str = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
const EXACT_COLUMNS: &str = "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

const LISTING: Listing = Listing {
    columns: COLUMNS,
    headings: &[
        ("ID", "IMAGE"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("Size", "SIZE"),
        ("Comment", "COMMENT"),
    ],
    type_name: "*image.historyContext",
};

/// Longest instruction that is shown.
const CREATED_BY: usize = 45;

/// `history [OPTIONS] IMAGE`
pub(crate) async fn history(session: &Session, given: &Given) -> Outcome {
    let platforms = platforms(given, "invalid platform: ")?;
    let platform = platforms.last().map(String::as_str);
    let pairs: Vec<(&str, &str)> = platform.map(|it| ("platform", it)).into_iter().collect();
    let path = query(
        &format!("/images/{}/history", segment(&given.args[0])),
        &pairs,
    );
    let request = Request::new(Method::Get, path);
    let items: Vec<HistoryItem> = session.client().await?.call(request).await?;
    let human = !given.has("human") || given.is("human");
    let truncate = !given.is("no-trunc");
    let rows = items.iter().map(|item| row(item, human, truncate));
    let chosen = given.get("format").filter(|format| !format.is_empty());
    let columns = if human { COLUMNS } else { EXACT_COLUMNS };
    report::print(&format::render(
        Listing { columns, ..LISTING },
        chosen,
        given.is("quiet"),
        rows,
    )?);
    Ok(0)
}

fn row(item: &HistoryItem, human: bool, truncate: bool) -> Value {
    let id = if truncate {
        format::short_id(&item.id)
    } else {
        &item.id
    };
    let mut created_by = item.created_by.replace('\t', " ");
    if truncate {
        created_by = ellipsis(&created_by, CREATED_BY);
    }
    let created_at = format::rfc3339(item.created);
    let since = match (human, item.created) {
        (false, _) => created_at.clone(),
        (true, ..=0) => "N/A".to_owned(),
        (true, created) => format!("{} ago", format::age(created)),
    };
    let fields = vec![
        ("ID", id.to_owned()),
        ("CreatedSince", since),
        ("CreatedAt", created_at),
        ("CreatedBy", created_by),
        (
            "Size",
            if human {
                format::size(item.size)
            } else {
                item.size.to_string()
            },
        ),
        ("Comment", item.comment.clone()),
    ];
    Value::structure(LISTING.type_name, fields)
}
