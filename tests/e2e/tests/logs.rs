//! `logs`: what a container has written, and still writes.

use std::time::Duration;

use testkit::Context;

#[test]
fn both_streams_in_order_with_limits() {
    let context = Context::busybox();
    context
        .corten(&[
            "run",
            "--name",
            "talk",
            "busybox",
            "sh",
            "-c",
            "echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three",
        ])
        .ok();
    let all = context.corten(&["logs", "talk"]);
    assert_eq!(
        (all.stdout.as_str(), all.stderr.as_str()),
        ("one\nthree\n", "two\n")
    );
    assert_eq!(
        context.corten(&["logs", "--tail", "1", "talk"]).ok(),
        "three"
    );
    assert_eq!(
        context
            .corten(&[
                "logs",
                "--since",
                "2001-01-01T00:00:00Z",
                "--tail",
                "1",
                "talk"
            ])
            .ok(),
        "three"
    );
    assert_eq!(
        context
            .corten(&["logs", "--until", "2001-01-01T00:00:00Z", "talk"])
            .ok(),
        ""
    );
    let timed = context.corten(&["logs", "-t", "--tail", "1", "talk"]);
    assert_eq!(testkit::filters::normalise(timed.ok()), "<TIME> three");
}

#[test]
fn following_ends_with_the_container() {
    let context = Context::busybox();
    context
        .corten(&[
            "run",
            "-d",
            "--name",
            "slow",
            "busybox",
            "sh",
            "-c",
            "for i in 1 2 3; do echo $i; sleep 0.3; done",
        ])
        .ok();
    let following = context
        .corten_start(&["logs", "-f", "slow"])
        .wait(Duration::from_secs(20))
        .expect("it ends");
    assert_eq!(following.ok(), "1\n2\n3");
}

#[test]
fn long_lines_and_missing_line_feeds_survive() {
    let context = Context::busybox();
    let long = "x".repeat(70_000);
    context
        .corten(&[
            "run",
            "--name",
            "long",
            "busybox",
            "sh",
            "-c",
            "head -c 70000 /dev/zero | tr '\\0' x; printf end",
        ])
        .ok();
    assert_eq!(
        context.corten(&["logs", "long"]).stdout,
        format!("{long}end")
    );
}

#[test]
fn a_flood_is_bounded_on_disk() {
    let context = Context::busybox();
    context.corten(&[
        "run",
        "--name",
        "flood",
        "busybox",
        "sh",
        "-c",
        "yes 0123456789012345678901234567890123456789 | head -c 200000000",
    ]);
    let last = context.corten(&["logs", "--tail", "1", "flood"]);
    assert!(last.ok().starts_with("012345"), "{last:?}");
    let size = size_of(&context.directory().join("data/containers"));
    assert!(size < 120_000_000, "{size} bytes of logs");
}

fn size_of(directory: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size_of(&entry.path()),
            _ => entry.metadata().map_or(0, |metadata| metadata.len()),
        })
        .sum()
}
