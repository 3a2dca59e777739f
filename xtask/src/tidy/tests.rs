//! The rules on small examples, and on this checkout.

use super::{crates, files, licences, lints, metadata::Metadata};

#[test]
fn layers_of_this_checkout_hold() {
    let metadata = Metadata::read().expect("cargo metadata");
    assert_eq!(crates::check(&metadata), Vec::<String>::new());
}

#[test]
fn licence_expressions() {
    for (expression, expected) in [
        ("MIT", true),
        ("MIT OR GPL-3.0", true),
        ("MIT/Apache-2.0", true),
        ("Apache-2.0 AND GPL-2.0", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("GPL-3.0-only", false),
    ] {
        assert_eq!(licences::allowed(expression), expected, "{expression}");
    }
}

#[test]
fn versions_compare_as_numbers() {
    assert!(licences::version("0.4.9") < licences::version("0.4.45"));
    assert!(licences::version("1.12.1") >= licences::version("1.11.1"));
}

#[test]
fn a_source_file_needs_a_header_and_a_length() {
    let long = "//! Header.\n".repeat(501);
    assert!(files::check_source("crates/x/src/a.rs", "//! Header.\n", None).is_empty());
    assert_eq!(
        files::check_source("crates/x/src/a.rs", "use std;\n", None).len(),
        1
    );
    assert_eq!(
        files::check_source("crates/x/src/a.rs", &long, None).len(),
        1
    );
    assert!(files::check_source("crates/x/src/a.rs", &long, Some(510)).is_empty());
    assert_eq!(
        files::check_source("crates/x/src/a.rs", &long, Some(700)).len(),
        1,
        "the ratchet shrinks"
    );
    assert!(files::check_source("crates/x/src/a/tests.rs", &long, None).is_empty());
}

#[test]
fn unsafe_code_has_one_home() {
    let text = "//! Header.\nfn f() { unsafe { g() } }\n";
    assert_eq!(
        files::check_source("crates/engine/src/a.rs", text, None).len(),
        1
    );
    assert!(files::check_source("crates/sys/src/a.rs", text, None).is_empty());
}

#[test]
fn the_engine_sees_only_the_monitors_protocol() {
    let inside = "//! Header.\nuse monitor::protocol::Launch;\n";
    let outside = "//! Header.\nuse monitor::reap::Reaper;\n";
    assert!(files::check_source("crates/engine/src/task.rs", inside, None).is_empty());
    assert_eq!(
        files::check_source("crates/engine/src/task.rs", outside, None).len(),
        1
    );
}

#[test]
fn lint_tables_are_compared() {
    let workspace = "[workspace.lints.rust]\na = \"warn\"\nunsafe_code = \"forbid\"\n[workspace.lints.clippy]\nb = \"warn\"\n";
    let sys = "[lints.rust]\na = \"warn\" # why\nunsafe_code = \"allow\"\n[lints.clippy]\n";
    assert_eq!(
        lints::compare(workspace, sys),
        ["lints: sys and the workspace differ in clippy b"]
    );
}
