//! Tests without libtest, for those that must run in a process of one thread: its words, its filters, its count.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A test's name and body.
pub type Test = (&'static str, fn());

/// A time that is promised, on this machine: longer by what `$CORTEN_SLOWER` says, which emulated machines have.
#[must_use]
pub fn promised(time: Duration) -> Duration {
    let slower = std::env::var("CORTEN_SLOWER").ok();
    time * slower.and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Runs the tests whose names contain one of the arguments that are no options, or all, but for those that contain what an
/// option `--skip=NAME` says, one after the other; `call` calls a body. Returns whether all passed. `--list` lists them.
pub fn run(tests: &[Test], arguments: &[String], call: impl Fn(fn())) -> bool {
    let wanted = wanted(tests, arguments);
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in wanted {
            println!("{name}: test");
        }
        return true;
    }
    let mut failed = Vec::new();
    for (name, body) in &wanted {
        // Before it runs: whoever waits sees for what.
        print!("test {name} ... ");
        _ = std::io::stdout().flush();
        let begun = Instant::now();
        let passed = catch_unwind(AssertUnwindSafe(|| call(*body))).is_ok();
        println!(
            "{} ({:.2} s)",
            if passed { "ok" } else { "FAILED" },
            begun.elapsed().as_secs_f64()
        );
        if !passed {
            failed.push(*name);
        }
    }
    if !failed.is_empty() {
        println!("\nfailures:\n    {}\n", failed.join("\n    "));
    }
    println!(
        "test result: {}. {} passed; {} failed; 0 ignored",
        if failed.is_empty() { "ok" } else { "FAILED" },
        wanted.len() - failed.len(),
        failed.len()
    );
    failed.is_empty()
}

/// The tests that the arguments ask for.
fn wanted<'a>(tests: &'a [Test], arguments: &[String]) -> Vec<&'a Test> {
    let (options, filters): (Vec<&str>, Vec<&str>) = arguments
        .iter()
        .map(String::as_str)
        .partition(|argument| argument.starts_with('-'));
    let skips: Vec<&str> = options
        .iter()
        .filter_map(|option| option.strip_prefix("--skip="))
        .collect();
    let matches = |names: &[&str], test: &str| names.iter().any(|name| test.contains(name));
    tests
        .iter()
        .filter(|(name, _)| filters.is_empty() || matches(&filters, name))
        .filter(|(name, _)| !matches(&skips, name))
        .collect()
}

/// The result of a program that cannot run any here: all of them are skipped, with the reason.
pub fn skip(tests: &[Test], why: &str) {
    for (name, _) in tests {
        println!("---- {name} stdout ----\nskipped: {why}");
    }
    println!(
        "test result: ok. {} passed; 0 failed; 0 ignored",
        tests.len()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_and_skips_choose_as_libtests_do() {
        const TESTS: &[Test] = &[("start", || ()), ("restart", || ()), ("stop", || ())];
        let names = |arguments: &[&str]| -> Vec<&str> {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            let found = wanted(TESTS, &arguments);
            found.into_iter().map(|(name, _)| *name).collect()
        };
        assert_eq!(names(&["--show-output"]), ["start", "restart", "stop"]);
        assert_eq!(names(&["start"]), ["start", "restart"]);
        assert_eq!(names(&["--skip=restart"]), ["start", "stop"]);
        assert_eq!(names(&["start", "--skip=restart"]), ["start"]);
    }
}
