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

use testkit::harness::Test;

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
    let tests: Vec<Test> = [
        lifecycle::TESTS,
        failures::TESTS,
        confinement::TESTS,
        escapes::TESTS,
        execs::TESTS,
        commands::TESTS,
    ]
    .concat();
    // Everything here needs root and busybox; elsewhere there is nothing to run.
    if !bundle::possible() {
        testkit::harness::skip(&tests, "needs root and a static /bin/busybox");
        return;
    }
    if let Some(rounds) = std::env::var("CORTEN_RUNTIME_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
    {
        return lifecycle::measure(rounds);
    }
    let passed = testkit::harness::run(&tests, &arguments, |test| {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        test();
        let after = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(mounts == after, "the host's mounts have changed");
    });
    std::process::exit(i32::from(!passed));
}
