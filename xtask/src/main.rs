//! Automation of the project: `cargo xtask COMMAND`.
//!
//! `ci` is what a change must pass, in this order: formatting, clippy, `tidy` (layers, headers, file lengths, licences),
//! then `test` (unit, root, end-to-end, a subset under a cgroup v2 kernel). Each command also stands alone.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool: it runs commands, writes files and talks to a person"
)]

mod cross;
mod fixtures;
mod layers;
mod packages;
mod record;
mod shell;
mod testing;
mod tidy;
mod vm;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci              formatting, clippy, tidy, then test: what .ci/run runs
  test            install what the tests need, make the fixtures, run every test, count
  test FILTER     the same, only the tests whose name contains FILTER
  tidy            layers, file headers and lengths, licences, unsafe code, words
  fixtures        make the images and the tree of real clients (cached)
  vm [--all]      run the subset, or every test, under a stock kernel with cgroup v2
  vm --power [N]  cut that kernel's power N times in the middle of work, and look what is left
  soak [SECONDS]  work and kill at random for so long (600), then count what is left
  networks [N M]  make N networks (500) and M places on them (1000), and see what the last cost
  fuzz [TARGET] [SECONDS [SEED]]
                  mutate what registries, archives, resolvers and the kernel may say, each for so long (60)
  aarch64         build the engine for aarch64, and run it under emulation as far as its version
  record          record what dockerd answers to the table of commands (tests/e2e/testdata)
  bench [ARG...]  measure Corten beside the peers that this machine has";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Result<()> {
    match words {
        ["ci"] => ci(),
        ["test", filters @ ..] => testing::run(filters),
        ["tidy"] => tidy::run(),
        ["fixtures"] => fixtures::make_all(),
        ["vm", options @ ..] => vm::run(options),
        ["soak"] => testing::soak("600"),
        ["soak", seconds] => testing::soak(seconds),
        ["networks"] => testing::networks("500", "1000"),
        ["networks", networks, endpoints] => testing::networks(networks, endpoints),
        ["fuzz", rest @ ..] => fuzz(rest),
        ["aarch64"] => cross::run(),
        ["record"] => record::run(),
        ["bench", rest @ ..] => bench(rest),
        [] | ["help" | "-h" | "--help", ..] => {
            println!("{USAGE}");
            Ok(())
        }
        [other, ..] => bail!("unknown command {other:?}\n\n{USAGE}"),
    }
}

/// Runs what a change must pass, cheapest first.
fn ci() -> Result<()> {
    shell::phase("fmt", || shell::cargo(&["fmt", "--all", "--check"]))?;
    testing::run_after(clippy_and_tidy, &[])
}

fn clippy_and_tidy() -> Result<()> {
    shell::phase("clippy", || {
        shell::cargo(&[
            "clippy",
            "--quiet",
            "--release",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ])
    })?;
    shell::phase("tidy", tidy::run)
}

fn fuzz(rest: &[&str]) -> Result<()> {
    let mut arguments = vec!["run", "--quiet", "--release", "--package", "fuzz", "--"];
    arguments.extend(rest);
    shell::cargo(&arguments)
}

fn bench(rest: &[&str]) -> Result<()> {
    shell::cargo(&["build", "--quiet", "--release", "--package", "corten"])?;
    let mut arguments = vec!["run", "--quiet", "--release", "--package", "bench", "--"];
    arguments.extend(rest);
    shell::cargo(&arguments)
}
