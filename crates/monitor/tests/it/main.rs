//! Real containers of a busybox, each under a monitor that is this very binary, started as an engine starts it. Needs root.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::exit
)]

mod fixture;
mod patience;
mod tests;

fn main() {
    let args: Vec<_> = std::env::args_os().collect();
    if args.get(1).is_some_and(|role| role == "standby") {
        std::process::exit(monitor::main(&args[2..]));
    }
    let all = [tests::ALL, patience::ALL].concat();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(missing) = fixture::missing() {
        testkit::harness::skip(&all, missing);
        std::process::exit(i32::from(std::env::var_os("REQUIRE_ROOT").is_some()));
    }
    let passed = testkit::harness::run(&all, &arguments, |test| test());
    fixture::remove_cgroup_parent();
    std::process::exit(i32::from(!passed));
}
