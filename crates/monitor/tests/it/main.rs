//! Real containers of a busybox, each under a monitor that is this very binary, started as an engine starts it. Needs root.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::exit
)]

mod fixture;
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

fn main() {
    let args: Vec<_> = std::env::args_os().collect();
    if args.get(1).is_some_and(|role| role == "monitor") {
        std::process::exit(monitor::main(&args[2..]));
    }
    let filter = std::env::args()
        .skip(1)
        .find(|arg| !arg.starts_with('-'))
        .unwrap_or_default();
    if let Some(missing) = fixture::missing() {
        println!("skipped: {missing}");
        std::process::exit(i32::from(std::env::var_os("REQUIRE_ROOT").is_some()));
    }
    let mut failed = Vec::new();
    for (name, test) in tests::ALL.iter().filter(|(name, _)| name.contains(&filter)) {
        let begun = std::time::Instant::now();
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!(
            "test {name} ... {} ({:?})",
            if passed { "ok" } else { "FAILED" },
            begun.elapsed()
        );
        if !passed {
            failed.push(*name);
        }
    }
    fixture::remove_cgroup_parent();
    println!("failed: {failed:?}");
    std::process::exit(i32::from(!failed.is_empty()));
}
