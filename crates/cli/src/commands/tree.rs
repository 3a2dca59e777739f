//! `images --tree`: docker's experimental layout. An image has one platform here, so nothing hangs below it.

use api::image::Summary;

use crate::flags::Given;
use crate::format;
use crate::report::{self, Failure};
use crate::session::Session;

const WARNING: &str =
    "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.";
const LEGEND: &str = "Info ->  U In Use ";
/// Blanks between two columns.
const GAP: &str = "   ";
const ID: usize = 12;
const USAGE: &str = "DISK USAGE";
const CONTENT: &str = "CONTENT SIZE";
const EXTRA: &str = "EXTRA";

/// Refuses what docker does not take beside `--tree`.
pub(super) fn check(given: &Given) -> Result<(), Failure> {
    let refused = [
        ("quiet", "quiet"),
        ("no-trunc", "no-trunc"),
        ("digests", "show-digest"),
        ("format", "format"),
    ];
    let given = |(flag, _): &&(&str, &str)| {
        given.is(flag) || (*flag == "format" && given.get(flag).is_some_and(|it| !it.is_empty()))
    };
    match refused.iter().find(given) {
        None => Ok(()),
        Some((_, name)) => Err(Failure::new(format!(
            "--{name} is not yet supported with --tree"
        ))),
    }
}

/// Prints images with their names above one another.
pub(super) fn show(session: &Session, images: &[Summary]) {
    let names: Vec<Vec<&str>> = images.iter().map(names).collect();
    let longest = names.iter().flatten().map(|name| name.chars().count());
    let width = longest.max().unwrap_or(0).max("IMAGE".len());
    let mut text = format!("{WARNING}\n{LEGEND:>0$}\n\n", session.columns());
    let title = |title: &str, width: usize| {
        let rest = " ".repeat(width - title.len());
        format!("\u{1b}[39m\u{1b}[1m{title}\u{1b}[0m{rest}")
    };
    let titles = [
        title("IMAGE", width),
        title("ID", ID),
        title(USAGE, USAGE.len()),
        title(CONTENT, CONTENT.len()),
        title(EXTRA, EXTRA.len()),
    ];
    text.push_str(&titles.join(GAP));
    text.push('\n');
    for (image, names) in images.iter().zip(&names) {
        let Some((last, others)) = names.split_last() else {
            continue;
        };
        for name in others {
            text.push_str(&format!("{name}\n"));
        }
        let cells = [
            format!("{last:<width$}"),
            format::short_id(&image.id).to_owned(),
            format!("{:>1$}", format::size(image.size), USAGE.len()),
            format!("{:>1$}", "0B", CONTENT.len()),
            format!(
                "{:<1$}",
                if image.containers > 0 { "U" } else { "" },
                EXTRA.len()
            ),
        ];
        text.push_str(&cells.join(GAP));
        text.push('\n');
    }
    report::print(&text);
}

fn names(image: &Summary) -> Vec<&str> {
    if image.repo_tags.is_empty() {
        vec!["<untagged>"]
    } else {
        image.repo_tags.iter().map(String::as_str).collect()
    }
}
