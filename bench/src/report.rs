//! The result: a table for the reader, a dated log for the history.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use crate::stats::{Summary, paired};
use crate::suites::Row;

/// Prints one block a metric. Ratios are to Corten, or to the floor when Corten is absent: of the medians, and in pairs.
pub(crate) fn print(rows: &[Row]) {
    for row in rows {
        println!("\n{} [{}]", row.metric, row.unit);
        println!(
            "  {:<10} {:>5} {:>10} {:>10} {:>10} {:>10} {:>8} {:>8}",
            "", "n", "min", "median", "p90", "max", "ratio", "paired"
        );
        let base = ["corten", "floor"]
            .iter()
            .find_map(|name| row.samples.get(name))
            .map_or(&[][..], Vec::as_slice);
        for (name, samples) in &row.samples {
            let Summary {
                count,
                min,
                median,
                p90,
                max,
            } = Summary::of(samples);
            let shown = |ratio: Option<f64>| {
                let finite = ratio.filter(|ratio| ratio.is_finite());
                finite.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
            };
            let ratio = shown(Some(median / Summary::of(base).median));
            let paired = shown(paired(samples, base));
            println!(
                "  {name:<10} {count:>5} {min:>10.2} {median:>10.2} {p90:>10.2} {max:>10.2} {ratio:>8} {paired:>8}"
            );
        }
    }
}

/// Writes the log: a line of facts about the machine, then one line a metric and contestant.
pub(crate) fn log(rows: &[Row], history: &Path) -> Result<PathBuf> {
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")
        .unwrap_or_default()
        .trim()
        .to_owned();
    let load = fs::read_to_string("/proc/loadavg")
        .unwrap_or_default()
        .trim()
        .to_owned();
    let date = output("date", &["--utc", "+%Y-%m-%dT%H%M"]);
    let commit = output("git", &["rev-parse", "--short=10", "HEAD"]);
    let directory = history.join(format!("{}-{cores}c", slug(&model)));
    fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{date}-{commit}.jsonl"));
    let mut file = File::create(&path)?;
    let facts = json!({
        "date": date, "commit": commit, "cpu": model, "cores": cores, "memory": memory, "kernel": kernel, "load_after": load,
    });
    writeln!(file, "{facts}")?;
    for row in rows {
        for (contestant, samples) in &row.samples {
            let line = json!({
                "metric": row.metric, "unit": row.unit, "contestant": contestant,
                "summary": Summary::of(samples), "samples": samples,
            });
            writeln!(file, "{line}")?;
        }
    }
    Ok(path)
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".into(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn slug(text: &str) -> String {
    let words = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processors_name_becomes_a_directory() {
        assert_eq!(slug("AMD EPYC(TM) 9B14"), "amd-epyc-tm-9b14");
    }
}
