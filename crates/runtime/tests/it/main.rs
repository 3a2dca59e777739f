//! Containers made for real, as root: without libtest, since a process with threads cannot make any.
//!
//! Every test has a bundle and a control group parent of its own and leaves nothing: no group, no mount, no process.

#![allow(
    clippy::disallowed_methods,
    clippy::exit,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test program"
)]

mod bundle;
mod commands;
mod confinement;
mod escapes;
mod execs;
mod failures;
mod lifecycle;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A test's name and body.
type Test = (&'static str, fn());

fn main() {
    // Our own init, executed inside a container, and the command line, executed by its tests.
    let mut own = std::env::args_os().skip(1);
    match own
        .next()
        .and_then(|role| role.into_string().ok())
        .as_deref()
    {
        Some("init") => std::process::exit(runtime::init::main(own.collect())),
        Some("runtime") => std::process::exit(runtime::command::main(own.collect())),
        _ => {}
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let tests: Vec<Test> = [
        lifecycle::TESTS,
        failures::TESTS,
        confinement::TESTS,
        escapes::TESTS,
        execs::TESTS,
        commands::TESTS,
    ]
    .concat()
    .into_iter()
    .filter(|(name, _)| {
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    })
    .collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in tests {
            println!("{name}: test");
        }
        return;
    }
    // Everything here needs root and busybox; elsewhere there is nothing to run.
    if !bundle::possible() {
        eprintln!("skipped: needs root and a static /bin/busybox");
        return;
    }
    if let Some(rounds) = std::env::var("CORTEN_RUNTIME_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
    {
        return lifecycle::measure(rounds);
    }
    let mut failed = 0;
    for (name, body) in &tests {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let result = catch_unwind(AssertUnwindSafe(body));
        let clean = mounts == std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let good = result.is_ok() && clean;
        println!("test {name} ... {}", if good { "ok" } else { "FAILED" });
        if !clean {
            eprintln!("{name}: the host's mounts have changed");
        }
        failed += usize::from(!good);
    }
    println!(
        "test result: {} passed; {failed} failed",
        tests.len() - failed
    );
    assert_eq!(failed, 0, "tests failed");
}
