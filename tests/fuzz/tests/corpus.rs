//! Every input that was ever interesting, and a few thousand new ones that are the same each time.
#![allow(clippy::tests_outside_test_module, reason = "an integration test")]

use fuzz::{Target, corpus, explore, target, try_input};

/// Tries the corpus of a target, and so many mutations of it.
fn check(name: &str, mutations: u64) {
    let target: &Target = target(name).expect("a target");
    let files = corpus(target);
    assert!(!files.is_empty(), "the corpus is empty");
    for (path, input) in files {
        if let Err(finding) = try_input(target, &input) {
            panic!("{}: {}", path.display(), finding.why);
        }
    }
    let report = explore(target, 1, |tried| tried < mutations);
    if let Some(finding) = report.finding {
        panic!("{:?}: {}", finding.input, finding.why);
    }
}

#[test]
fn references_print_as_themselves() {
    check("reference", 20_000);
}

#[test]
fn headers_of_registries_say_no_more_than_they_hold() {
    check("challenge", 20_000);
}

#[test]
fn manifests_are_of_one_kind() {
    check("manifest", 5000);
}

#[test]
fn configurations_survive_their_printing() {
    check("config", 5000);
}

#[test]
fn archives_touch_nothing_outside_of_their_tree() {
    check("archive", 300);
}

#[test]
fn harmless_archives_become_the_tree_that_gnu_tar_makes() {
    check("unpack", 50);
}

#[test]
fn questions_for_names_get_answers_that_fit() {
    check("dns", 20_000);
}

#[test]
fn what_the_kernel_says_is_read_within_its_bounds() {
    check("netlink", 20_000);
}
