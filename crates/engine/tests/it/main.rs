//! Real containers through the engine's operations. As root; needs a static busybox.
//!
//! A program of its own: the engine executes itself as monitor, netd and init, so this one has to be those too.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod containers;
mod context;
mod recovery;

use std::ffi::OsString;
use std::process::ExitCode;

use testkit::harness::Test;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    match args.get(1).and_then(|word| word.to_str()) {
        Some("standby") => {
            args.remove(0);
            return ExitCode::from(u8::try_from(monitor::main(&args[1..]) & 0xff).unwrap_or(1));
        }
        Some("netd") => {
            args.remove(0);
            return ExitCode::from(u8::try_from(netd::main(&args[1..]) & 0xff).unwrap_or(1));
        }
        Some("init") => {
            return ExitCode::from(
                u8::try_from(runtime::init::main(args.split_off(1)) & 0xff).unwrap_or(1),
            );
        }
        Some("crash") => {
            recovery::crash(&args[2].to_string_lossy(), args[3].as_ref());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let tests = [containers::TESTS, recovery::TESTS].concat();
    if !context::able() {
        testkit::harness::skip(&tests, "not root, or no busybox");
        return ExitCode::from(u8::from(std::env::var_os("REQUIRE_ROOT").is_some()));
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let passed = testkit::harness::run(&tests, &arguments, |test| test());
    ExitCode::from(u8::from(!passed))
}
