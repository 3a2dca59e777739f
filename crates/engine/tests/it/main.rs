//! Real containers through the engine's operations. As root; needs a static busybox.
//!
//! A program of its own: the engine executes itself as monitor and init, so this one has to be those too.
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

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    match args.get(1).and_then(|word| word.to_str()) {
        Some("monitor") => {
            args.remove(0);
            return ExitCode::from(u8::try_from(monitor::main(&args[1..]) & 0xff).unwrap_or(1));
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
    let wanted = args
        .iter()
        .skip(1)
        .filter_map(|word| word.to_str())
        .find(|word| !word.starts_with('-'));
    if !context::able() {
        println!(
            "test result: ok. 0 passed; 0 failed; {} ignored: not root, or no busybox",
            all().len()
        );
        return ExitCode::from(u8::from(std::env::var_os("REQUIRE_ROOT").is_some()));
    }
    run(wanted)
}

fn all() -> Vec<Test> {
    [containers::TESTS, recovery::TESTS].concat()
}

fn run(wanted: Option<&str>) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in all()
        .into_iter()
        .filter(|(name, _)| wanted.is_none_or(|wanted| name.contains(wanted)))
    {
        let begun = std::time::Instant::now();
        let ok = std::panic::catch_unwind(test).is_ok();
        println!(
            "test {name} ... {} ({:.2} s)",
            if ok { "ok" } else { "FAILED" },
            begun.elapsed().as_secs_f64()
        );
        if ok { passed += 1 } else { failed += 1 }
    }
    println!(
        "test result: {}. {passed} passed; {failed} failed",
        if failed == 0 { "ok" } else { "FAILED" }
    );
    ExitCode::from(u8::from(failed > 0))
}
