//! `image prune`.

use api::image::Pruned;
use client::{Method, Request, query};

use crate::flags::Given;
use crate::format;
use crate::report::{self, Failure, Outcome, print_error};
use crate::session::Session;

const ALL: &str =
    "WARNING! This will remove all images without at least one container associated to them.";
const DANGLING: &str = "WARNING! This will remove all dangling images.";

/// `image prune [OPTIONS]`
pub(crate) async fn images(session: &Session, given: &Given) -> Outcome {
    let all = given.is("all");
    if !given.is("force") && !confirmed(session, if all { ALL } else { DANGLING })? {
        return Err(Failure::new("image prune has been cancelled"));
    }
    let mut wanted = given.list("filter");
    wanted.push(format!("dangling={}", !all));
    let filters = format::filters(&wanted).unwrap_or_default();
    let path = query("/images/prune", &[("filters", &filters)]);
    let request = Request::new(Method::Post, path);
    let pruned: Pruned = session.client().await?.call(request).await?;
    let deleted = pruned.images_deleted.unwrap_or_default();
    let mut text = String::new();
    if !deleted.is_empty() {
        text.push_str("Deleted Images:\n");
        for item in &deleted {
            if item.untagged.is_empty() {
                text.push_str(&format!("deleted: {}\n", item.deleted));
            } else {
                text.push_str(&format!("untagged: {}\n", item.untagged));
            }
        }
        text.push('\n');
    }
    #[expect(clippy::cast_precision_loss, reason = "four digits are printed")]
    let freed = stdx::size::human_size(pruned.space_reclaimed as f64);
    report::print(&format!("{text}Total reclaimed space: {freed}\n"));
    Ok(0)
}

/// Asks the user.
fn confirmed(session: &Session, warning: &str) -> Result<bool, Failure> {
    report::print(&format!(
        "{warning}\nAre you sure you want to continue? [y/N] "
    ));
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(format!("read the answer: {}", report::reason(&error))))?;
    if !session.env.stdin_is_terminal {
        print_error("");
    }
    Ok(matches!(answer.trim(), "y" | "Y"))
}
