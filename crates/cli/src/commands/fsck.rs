//! `image fsck`: Corten's own.

use api::fsck::{Problem, Report};
use client::{Method, Request, query};

use crate::flags::Given;
use crate::report::{self, Outcome};
use crate::session::Session;

/// `image fsck [OPTIONS]`
pub(crate) async fn fsck(session: &Session, given: &Given) -> Outcome {
    let repair = if given.is("repair") { "1" } else { "0" };
    let path = query("/corten/images/fsck", &[("repair", repair)]);
    let request = Request::new(Method::Post, path);
    let found: Report = session.client().await?.call(request).await?;
    report::print(&words(&found));
    Ok(i32::from(unmended(&found) > 0))
}

fn unmended(report: &Report) -> usize {
    let wrong = |problem: &&Problem| problem.outcome != "repaired";
    report.problems.iter().filter(wrong).count()
}

/// A line for each problem, one for what has become of it, and the sum.
fn words(report: &Report) -> String {
    let mut text = String::new();
    for problem in &report.problems {
        let (kind, subject, what) = (&problem.kind, &problem.subject, &problem.what);
        text.push_str(&format!("{kind} {subject}: {what}\n"));
        match problem.outcome.as_str() {
            "repaired" => text.push_str(&format!("  repaired: {}\n", problem.detail)),
            "left" => text.push_str(&format!("  left: {}\n", problem.detail)),
            _ => {}
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "four digits are printed")]
    let size = stdx::size::human_size(report.bytes as f64);
    text.push_str(&format!(
        "{} images, {} layers, {} blobs ({size}): ",
        report.images, report.layers, report.blobs
    ));
    let left = unmended(report);
    text + &match (report.problems.len(), left) {
        (0, _) => "sound\n".to_owned(),
        (count, 0) => format!("{count} problems, all repaired\n"),
        (count, left) if left == count => format!("{count} problems\n"),
        (count, left) => format!("{count} problems, {left} left\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_is_told_with_what_has_become_of_it() {
        let problem = |outcome: &str, detail: &str| Problem {
            kind: "blob".to_owned(),
            subject: "sha256:1".to_owned(),
            what: "it is missing".to_owned(),
            outcome: outcome.to_owned(),
            detail: detail.to_owned(),
        };
        let mut report = Report {
            images: 1,
            layers: 2,
            blobs: 3,
            bytes: 4000,
            problems: Vec::new(),
        };
        let sum = "1 images, 2 layers, 3 blobs (4kB): ";
        assert_eq!(words(&report), format!("{sum}sound\n"));
        report.problems = vec![problem("found", "")];
        let line = "blob sha256:1: it is missing\n";
        assert_eq!(words(&report), format!("{line}{sum}1 problems\n"));
        report.problems = vec![problem("repaired", "removed"), problem("left", "held")];
        assert_eq!(
            words(&report),
            format!("{line}  repaired: removed\n{line}  left: held\n{sum}2 problems, 1 left\n")
        );
        assert_eq!(unmended(&report), 1);
    }
}
