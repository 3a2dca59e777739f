//! `fuzz [TARGET] [SECONDS] [SEED]`: each target, or one, for so long. What is found is written below `findings`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool: it writes files and talks to a person"
)]

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use fuzz::{TARGETS, Target, explore, target};

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<&Target> = match words.first().map(|word| target(word)) {
        Some(Some(target)) => {
            words.remove(0);
            vec![target]
        }
        _ => TARGETS.iter().collect(),
    };
    let mut numbers = words.iter().map(|word| word.parse::<u64>());
    let (seconds, seed) = match (numbers.next(), numbers.next(), numbers.next()) {
        (None, ..) => (60, seed()),
        (Some(Ok(seconds)), None, _) => (seconds, seed()),
        (Some(Ok(seconds)), Some(Ok(seed)), None) => (seconds, seed),
        _ => {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            eprintln!("usage: fuzz [{}] [SECONDS] [SEED]", names.join("|"));
            return ExitCode::FAILURE;
        }
    };
    // The message of a panic is printed once, with the input.
    std::panic::set_hook(Box::new(|_| ()));
    let mut found = false;
    for target in chosen {
        let end = Instant::now() + Duration::from_secs(seconds);
        let report = explore(target, seed, |_| Instant::now() < end);
        println!(
            "{:<10} seed {seed}: {} inputs, {} outcomes, the slowest took {:?}",
            target.name, report.inputs, report.outcomes, report.slowest
        );
        if let Some(finding) = report.finding {
            found = true;
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("findings");
            let path = directory.join(format!("{}-{seed}", target.name));
            let kept =
                fs::create_dir_all(&directory).and_then(|()| fs::write(&path, &finding.input));
            println!("  {}\n  kept as {}: {kept:?}", finding.why, path.display());
        }
    }
    if found {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn seed() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(1, |since| since.as_secs())
}
