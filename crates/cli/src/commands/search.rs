//! `search`: repositories of a registry.

use api::image::SearchResult;
use client::{Method, Request, query};

use crate::credentials;
use crate::flags::Given;
use crate::format::{self, Listing};
use crate::report::{self, Outcome};
use crate::session::Session;
use crate::table::ellipsis;
use crate::template::Value;

const LISTING: Listing = Listing {
    columns: "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
    headings: &[
        ("Name", "NAME"),
        ("Description", "DESCRIPTION"),
        ("StarCount", "STARS"),
        ("IsOfficial", "OFFICIAL"),
    ],
    type_name: "*registry.searchContext",
};
/// Columns of a description.
const DESCRIPTION: usize = 45;

/// `search [OPTIONS] TERM`
pub(crate) async fn search(session: &Session, given: &Given) -> Outcome {
    let term = &given.args[0];
    let limit = given.number("limit").filter(|limit| *limit > 0);
    let limit = limit.map(|limit| limit.to_string());
    let filters = format::filters(&given.list("filter"));
    let mut pairs = vec![("term", term.as_str())];
    pairs.extend(limit.as_deref().map(|limit| ("limit", limit)));
    pairs.extend(filters.as_deref().map(|filters| ("filters", filters)));
    let auth = credentials::header_of(session, registry(term))?;
    let request =
        Request::new(Method::Get, query("/images/search", &pairs)).field("X-Registry-Auth", auth);
    let found: Vec<SearchResult> = session.client().await?.call(request).await?;
    let format = given.get("format").filter(|format| !format.is_empty());
    // As JSON, what is official is a word.
    let as_json = format.is_some_and(|format| format == "json" || format.contains("{{json .}}"));
    let rows = found
        .iter()
        .map(|result| row(result, !given.is("no-trunc"), as_json));
    report::print(&format::render(LISTING, format, false, rows)?);
    Ok(0)
}

/// Whose credentials are shown: of the registry that the daemon will ask, whatever else the term is.
fn registry(term: &str) -> &str {
    match term.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => oci::reference::DEFAULT_DOMAIN,
    }
}

fn row(result: &SearchResult, truncate: bool, as_json: bool) -> Value {
    let mut description = result.description.replace(['\n', '\r'], " ");
    if truncate {
        description = ellipsis(&description, DESCRIPTION);
    }
    let official = match (as_json, result.is_official) {
        (true, official) => official.to_string(),
        (false, true) => "[OK]".to_owned(),
        (false, false) => String::new(),
    };
    let fields = vec![
        ("Name", result.name.clone()),
        ("Description", description),
        ("StarCount", result.star_count.to_string()),
        ("IsOfficial", official),
    ];
    Value::structure(LISTING.type_name, fields)
}

#[cfg(test)]
mod tests {
    use super::registry;

    #[test]
    fn no_registry_is_shown_the_credentials_of_another() {
        for (term, host) in [
            ("busybox", "docker.io"),
            ("someone/thing", "docker.io"),
            ("registry.example/Not A/reference", "registry.example"),
            ("localhost/x", "localhost"),
            ("[::1]:5000/x", "[::1]:5000"),
            ("https://registry.example/x", "https:"),
        ] {
            assert_eq!(registry(term), host, "{term}");
        }
    }
}
