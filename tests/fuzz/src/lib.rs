//! Fuzzing on the stable compiler: inputs that anybody may send us, mutated from a corpus.
//!
//! A target takes bytes, panics where a promise is broken, and else tells in a few words what came of them. Inputs with an
//! outcome that was not seen before join the pool from which the next ones are made: the outcomes stand in for the coverage
//! that only an instrumented build would know. Every file of `corpus` runs in the ordinary tests, too.
#![allow(
    clippy::disallowed_methods,
    reason = "a developer's tool: it reads the corpus, unpacks archives and runs GNU tar"
)]

mod archive;
mod documents;
mod mutate;
mod network;
mod texts;
mod unpack;

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use mutate::Random;

/// Inputs from which others are made.
const POOL: usize = 4096;

/// What is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Panics where a promise is broken; tells what came of the input.
    pub run: fn(&[u8]) -> String,
    /// Words that are worth inserting.
    words: &'static [&'static str],
    /// Bytes at most: longer ones only take longer.
    limit: usize,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "reference",
        run: texts::reference,
        words: texts::REFERENCE_WORDS,
        limit: 400,
    },
    Target {
        name: "challenge",
        run: texts::challenge,
        words: texts::CHALLENGE_WORDS,
        limit: 1000,
    },
    Target {
        name: "manifest",
        run: documents::manifest,
        words: documents::WORDS,
        limit: 8000,
    },
    Target {
        name: "config",
        run: documents::config,
        words: documents::WORDS,
        limit: 8000,
    },
    Target {
        name: "archive",
        run: archive::run,
        words: archive::WORDS,
        limit: 16 * 1024,
    },
    Target {
        name: "dns",
        run: network::dns,
        words: network::DNS_WORDS,
        limit: 1500,
    },
    Target {
        name: "netlink",
        run: network::netlink,
        words: &[],
        limit: 4096,
    },
    Target {
        name: "unpack",
        run: unpack::run,
        words: &[],
        limit: 400,
    },
];

/// An input that broke a promise.
#[derive(Debug)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
    /// What the target said.
    pub why: String,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Inputs that were tried.
    pub inputs: u64,
    /// Different outcomes.
    pub outcomes: usize,
    /// The longest that one took.
    pub slowest: Duration,
    /// The first input that broke a promise.
    pub finding: Option<Finding>,
}

/// Finds a target by its name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The corpus of a target: file names and contents, sorted.
pub fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let mut files: Vec<_> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("read {}: {error}", directory.display()))
        .map(|entry| entry.expect("an entry of the corpus").path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let bytes = fs::read(&path).expect("a file of the corpus");
            (path, bytes)
        })
        .collect()
}

/// Tries one input.
pub fn try_input(target: &Target, input: &[u8]) -> Result<String, Finding> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let why = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Finding {
            input: input.to_vec(),
            why: why.unwrap_or_else(|| "it panicked".to_owned()),
        }
    })
}

/// Mutates the corpus until `more` says no, or until something is found.
pub fn explore(target: &Target, seed: u64, mut more: impl FnMut(u64) -> bool) -> Report {
    let mut random = Random::new(seed);
    let mut pool: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, bytes)| bytes).collect();
    let mut seen = HashSet::new();
    let mut report = Report::default();
    while more(report.inputs) {
        let mut input = mutate::mutate(&mut random, &pool, target.words);
        input.truncate(target.limit);
        report.inputs += 1;
        let start = Instant::now();
        match try_input(target, &input) {
            Ok(outcome) => {
                // What an input says itself may stand in its outcome: not all that is new is news.
                if seen.insert(shape(&outcome)) && pool.len() < POOL {
                    pool.push(input);
                }
            }
            Err(finding) => {
                report.finding = Some(finding);
                break;
            }
        }
        report.slowest = report.slowest.max(start.elapsed());
    }
    report.outcomes = seen.len();
    report
}

/// The words of an outcome, without what differs from input to input: numbers, names and what is quoted.
fn shape(outcome: &str) -> String {
    let words = outcome.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '+');
    let words = words.filter(|word| {
        (1..20).contains(&word.len()) && !word.bytes().any(|byte| byte.is_ascii_digit())
    });
    words.take(24).collect::<Vec<_>>().join(" ")
}
