//! The test command: packages, fixtures, one build, every test binary, the end-to-end tests, a subset under cgroup v2.
//!
//! A test that cannot run here prints a line `skipped: why` and returns; it is counted as skipped, not as passed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::{fixtures, packages, shell, vm};

/// The sum over all test binaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Count {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// A test binary, as cargo built it.
#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) package: String,
    pub(crate) name: String,
    /// Tests beside the code, not below `tests`.
    pub(crate) unit: bool,
    pub(crate) path: PathBuf,
}

/// Runs every test whose name contains a filter, or all.
pub(crate) fn run(filters: &[&str]) -> Result<()> {
    run_after(|| Ok(()), filters)
}

/// The same, if what is checked before is as it should be.
pub(crate) fn run_after(check: impl FnOnce() -> Result<()>, filters: &[&str]) -> Result<()> {
    if !shell::is_root() {
        bail!("the tests make namespaces, mounts and cgroups: run them as root");
    }
    // Packages and fixtures wait for the network while the compiler waits for the processors.
    let binaries = std::thread::scope(|scope| {
        let prepared = scope.spawn(|| {
            shell::phase("packages", packages::install)?;
            shell::phase("fixtures", fixtures::make_all)
        });
        let binaries = check().and_then(|()| shell::phase("build", build));
        let prepared = prepared.join();
        prepared.map_err(|_| anyhow!("making fixtures panicked"))??;
        binaries
    })?;
    let mut total = Count::default();
    for (phase, wanted) in [("unit and root tests", false), ("end-to-end tests", true)] {
        shell::phase(phase, || {
            for binary in binaries
                .iter()
                .filter(|binary| (binary.package == "e2e") == wanted)
            {
                total.add(run_binary(binary, filters)?);
            }
            Ok(())
        })?;
    }
    // A filter asks for some tests here; everything else is one change's whole proof.
    if filters.is_empty() {
        total.add(shell::phase("cgroup v2", || vm::subset(&binaries))?);
    }
    println!(
        "{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.skipped
    );
    if total.failed > 0 {
        bail!("{} tests failed", total.failed);
    }
    Ok(())
}

/// The soak test of `tests/e2e` for as long as one likes, and a layer of two gigabytes.
pub(crate) fn soak(seconds: &str) -> Result<()> {
    some(
        &["soak::", "image_memory::"],
        &[("CORTEN_SOAK_SECONDS", seconds)],
    )
}

/// The test of many networks, with as many of them and of places on them as one likes.
pub(crate) fn networks(networks: &str, endpoints: &str) -> Result<()> {
    let variables = [
        ("CORTEN_NETWORKS", networks),
        ("CORTEN_ENDPOINTS", endpoints),
    ];
    some(&["many_networks::"], &variables)
}

/// Some tests of `tests/e2e`, with these numbers in their environment; their output is shown as it comes.
fn some(names: &[&str], numbers: &[(&str, &str)]) -> Result<()> {
    for (variable, number) in numbers {
        number
            .parse::<u64>()
            .with_context(|| format!("{variable}: {number:?} is no number"))?;
    }
    packages::install()?;
    fixtures::make_all()?;
    shell::cargo(&["build", "--quiet", "--release", "--package", "corten"])?;
    shell::run(
        shell::cargo_command()
            .args(["test", "--release", "--package", "e2e", "--", "--nocapture"])
            .args(names)
            .envs(numbers.iter().copied()),
    )
}

/// Builds the program and every test once, and returns the test binaries.
pub(crate) fn build() -> Result<Vec<Binary>> {
    shell::cargo(&["build", "--quiet", "--release", "--package", "corten"])?;
    let output = shell::cargo_command()
        .args([
            "test",
            "--quiet",
            "--release",
            "--workspace",
            "--no-run",
            "--message-format=json-render-diagnostics",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo test --no-run")?;
    if !output.status.success() {
        bail!("the tests do not build");
    }
    let mut seen = BTreeSet::new();
    let mut binaries = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some(binary) = parse_artifact(line)
            && seen.insert(binary.path.clone())
        {
            binaries.push(binary);
        }
    }
    binaries.sort_by(|a, b| (&a.package, &a.name).cmp(&(&b.package, &b.name)));
    Ok(binaries)
}

/// A `compiler-artifact` message of a test binary.
fn parse_artifact(line: &str) -> Option<Binary> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let manifest = Path::new(message["manifest_path"].as_str()?);
    Some(Binary {
        package: manifest
            .parent()?
            .file_name()?
            .to_string_lossy()
            .into_owned(),
        name: message["target"]["name"].as_str()?.to_owned(),
        unit: message["target"]["kind"][0] != "test",
        path: message["executable"].as_str()?.into(),
    })
}

/// A test binary that takes so long hangs; on a busy machine the end-to-end tests have taken eight minutes.
const LIMIT: Duration = Duration::from_mins(12);

/// End-to-end tests at once, with two processors: they wait for one another's daemons and clients a third of their time.
const THREADS: &str = "--test-threads=3";

/// Where a test expects to run: cargo runs it in its package's directory.
pub(crate) fn directory(binary: &Binary) -> PathBuf {
    shell::root().join(match binary.package.as_str() {
        "xtask" | "bench" => binary.package.clone(),
        "e2e" | "fuzz" => format!("tests/{}", binary.package),
        package => format!("crates/{package}"),
    })
}

fn run_binary(binary: &Binary, filters: &[&str]) -> Result<Count> {
    // Files and not pipes: what a failed test left running holds its output open, and nobody shall wait for that.
    let logs = shell::root().join("target/test-logs");
    fs::create_dir_all(&logs).with_context(|| format!("create {}", logs.display()))?;
    let log = |kind: &str| logs.join(format!("{}-{}.{kind}", binary.package, binary.name));
    let create =
        |kind| File::create(log(kind)).with_context(|| format!("create {}", log(kind).display()));
    let status = Command::new("timeout")
        .args(["--kill-after=10", &LIMIT.as_secs().to_string()])
        .arg(&binary.path)
        .args(["--show-output", "--color=never"])
        .args((binary.package == "e2e").then_some(THREADS))
        .args(filters)
        .current_dir(directory(binary))
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stdout(create("out")?)
        .stderr(create("err")?)
        .status()
        .with_context(|| format!("run {}", binary.path.display()))?;
    let read = |kind| fs::read(log(kind)).with_context(|| format!("read {}", log(kind).display()));
    let (text, errors) = (read("out")?, read("err")?);
    let text = String::from_utf8_lossy(&text);
    let title = format!("{} {}", binary.package, binary.name);
    let mut count = parse(&text).unwrap_or_default();
    // A binary that crashed, or ran out of time, has no count: that is a failure and not nothing.
    if !status.success() && count.failed == 0 {
        count.failed = 1;
    }
    if count != Count::default() {
        println!(
            "   {title}: {} passed, {} failed, {} skipped",
            count.passed, count.failed, count.skipped
        );
    }
    for (name, why) in skips(&text) {
        println!("      skipped {name}: {why}");
    }
    if count.failed > 0 {
        println!("{}", failures(&text));
        println!("{}", String::from_utf8_lossy(&errors));
        println!("   {title}: {status}");
    }
    Ok(count)
}

/// The count of a run with `--show-output`, from libtest's last line and the skips in the tests' output.
pub(crate) fn parse(text: &str) -> Option<Count> {
    let line = text
        .lines()
        .rev()
        .find(|line| line.starts_with("test result: "))?;
    let number = |what: &str| -> u64 {
        line.split(';')
            .filter_map(|part| part.trim().strip_suffix(what))
            .filter_map(|part| part.rsplit(' ').nth(1).or(Some(part)))
            .find_map(|part| part.trim().parse().ok())
            .unwrap_or(0)
    };
    let skipped = skips(text).len() as u64;
    Some(Count {
        passed: number("passed").saturating_sub(skipped),
        failed: number("failed"),
        skipped: skipped + number("ignored"),
    })
}

/// The tests that printed why they cannot run.
fn skips(text: &str) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    let mut current = "";
    for line in text.lines() {
        if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|line| line.strip_suffix(" stdout ----"))
        {
            current = name;
        } else if let Some(why) = line.strip_prefix("skipped: ")
            && found.last().is_none_or(|(name, _)| *name != current)
        {
            found.push((current, why));
        }
    }
    found
}

/// The part of libtest's output that tells of failures.
pub(crate) fn failures(text: &str) -> &str {
    text.find("\nfailures:\n")
        .map_or(text, |start| &text[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 4 tests
test a ... ok
test b ... ok
test c ... FAILED
test d ... ignored

successes:

---- b stdout ----
skipped: no privilege

failures:

---- c stdout ----
boom

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn counts_are_read_from_libtest() {
        let expected = Count {
            passed: 1,
            failed: 1,
            skipped: 2,
        };
        assert_eq!(parse(OUTPUT), Some(expected));
        assert_eq!(parse("crashed"), None);
        assert_eq!(skips(OUTPUT), [("b", "no privilege")]);
    }
}
