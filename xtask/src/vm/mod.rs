//! A stock Debian kernel under qemu: two processors, cgroup v2, nftables. Runs test binaries and reads their counts from
//! the serial ports. KVM where it works, software emulation elsewhere.
//!
//! ```text
//! kernel    out of the Debian package, with the few modules that containers need
//! guest     initramfs: busybox, corten, the test binaries, fixtures, /init; two lanes of jobs, a serial port each
//! machine   qemu; reads the ports while it runs, keeps every line with its time, ends what does not end
//! whole     the same machine with Debian on a disk, and every test there is
//! power     the same machine with a disk, switched off in the middle of something
//! ```

mod guest;
mod kernel;
mod machine;
mod power;
mod whole;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::guest::{BEGIN, END, Job, LANES, Work};
use self::machine::Machine;
use crate::testing::{self, Binary, Count};
use crate::{fixtures, packages, shell};

/// Packages with the beginnings of their tests' names (none: all) and libtest's options; a line is a job, the long ones
/// first.
type Selection = &'static [(&'static str, &'static [&'static str])];

/// What runs on every change.
const SUBSET: Selection = &[
    // That one takes three minutes of emulation by itself: `--all` has it.
    ("engine", &["--skip=a_crash_at_any_step"]),
    ("runtime", &[]),
    ("monitor", &[]),
    ("e2e", &["confinement::"]),
    (
        "e2e",
        &["run::exit_codes", "run::limits", "run::a_memory_limit"],
    ),
    ("e2e", &["exec::it_is_confined", "exec::output"]),
    ("e2e", &["crash::a_killed_monitor"]),
    ("e2e", &["network::containers_reach", "network::addresses"]),
    ("e2e", &["runtime::"]),
];

/// How long a job and the whole machine may take: many times what they do take on a machine with other work.
#[derive(Clone, Copy, Debug)]
struct Limits {
    job: Duration,
    all: Duration,
}

const SUBSET_LIMITS: Limits = Limits {
    job: Duration::from_mins(5),
    all: Duration::from_mins(12),
};
/// Directories that tests read at the path where they were compiled.
const DATA: &[&str] = &[
    "tests/e2e/testdata",
    "crates/runtime/testdata",
    "crates/engine/testdata",
    "crates/monitor/testdata",
    "crates/snapshots/testdata",
    "crates/image/testdata",
    "crates/seccomp/testdata",
];

const USAGE: &str = "usage: cargo xtask vm [--all [NAME...] | --power [CUTS [SEED]]]";

/// `cargo xtask vm`.
pub(crate) fn run(options: &[&str]) -> Result<()> {
    let names = match options {
        [] => None,
        ["--all", names @ ..] => Some(names),
        ["--power"] => return power::run(5, u64::from(std::process::id())),
        ["--power", cuts] => return power::run(cuts.parse()?, u64::from(std::process::id())),
        ["--power", cuts, seed] => return power::run(cuts.parse()?, seed.parse()?),
        _ => bail!(USAGE),
    };
    packages::install()?;
    fixtures::make_all()?;
    let binaries = testing::build()?;
    let count = match names {
        Some(names) => whole::run(&binaries, names)?,
        None => subset(&binaries)?,
    };
    println!(
        "{} passed, {} failed, {} skipped",
        count.passed, count.failed, count.skipped
    );
    if count.failed > 0 {
        bail!("{} tests failed under cgroup v2", count.failed);
    }
    Ok(())
}

/// The part of `cargo xtask test`. A machine without an emulator skips it, once, and says so.
pub(crate) fn subset(binaries: &[Binary]) -> Result<Count> {
    if std::env::consts::ARCH != "x86_64" {
        println!("   skipped: the virtual machine is made for x86_64");
        return Ok(Count {
            skipped: 1,
            ..Count::default()
        });
    }
    let kernel = kernel::find()?;
    let scratch = Scratch::new()?;
    let jobs = jobs(binaries, SUBSET);
    let first = jobs.first().context("nothing to run")?;
    let work = Work::Jobs(&jobs, SUBSET_LIMITS.job.as_secs());
    let payload = scratch.0.join("payload");
    guest::fill(&payload, &kernel, &program(first.binary)?, &work, DATA)?;
    boot(&scratch.0, &kernel, &jobs, None, SUBSET_LIMITS.all)
}

/// A directory that is gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("corten-vm-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the jobs of a machine whose initial file system is in the directory `payload` of `scratch`.
fn boot(
    scratch: &Path,
    kernel: &Path,
    jobs: &[Job<'_>],
    disk: Option<&Path>,
    limit: Duration,
) -> Result<Count> {
    let payload = scratch.join("payload");
    let initramfs = scratch.join("initramfs");
    kernel::pack(&payload, &initramfs)?;
    fs::remove_dir_all(&payload)?;
    let accelerator = kernel::accelerator(scratch, kernel)?;
    let log = shell::cache().join("vm.log");
    fs::File::create(&log)?;
    println!("   {} jobs, accelerator {accelerator}", jobs.len());
    let machine = Machine {
        scratch,
        kernel,
        accelerator,
        initramfs: &initramfs,
        disk,
        lanes: LANES,
        limit,
        log,
    };
    let mut begun = vec![0.0; jobs.len()];
    let (_, lanes) = machine.run(|time, line| {
        let line = line.unwrap_or_default();
        if let Some((index, _)) = marked(line, BEGIN) {
            begun[index] = time;
        } else if let Some((index, status)) = marked(line, END) {
            let took = time - begun[index];
            println!("   {took:6.1} s  {}: {}", jobs[index].title, ending(status));
        }
        None
    })?;
    Ok(count(&lanes, jobs, &machine.log))
}

/// The program under test stands beside the tests' directory.
fn program(binary: &Binary) -> Result<PathBuf> {
    let directory = binary.path.parent().and_then(Path::parent);
    Ok(directory
        .context("a test stands in target/.../deps")?
        .join("corten"))
}

/// An ext4 disk with what is in a directory.
fn make_disk(image: &Path, tree: &Path) -> Result<()> {
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-t", "ext4", "-d"]).arg(tree);
    shell::run(command.arg(image).arg("8G"))
}

/// The jobs of a selection: every binary of a package is one of its own; of `e2e` only the tests.
fn jobs(binaries: &[Binary], selection: Selection) -> Vec<Job<'_>> {
    let mut jobs = Vec::new();
    for (package, filters) in selection {
        let own = binaries.iter().filter(|binary| {
            binary.package == *package && !(binary.package == "e2e" && binary.unit)
        });
        jobs.extend(own.map(|binary| Job {
            binary,
            title: format!("{package} {} {}", binary.name, filters.join(" ")),
            arguments: filters.iter().map(ToString::to_string).collect(),
        }));
    }
    jobs
}

/// The number of a job in a mark, and what follows it.
fn marked<'line>(line: &'line str, mark: &str) -> Option<(usize, &'line str)> {
    let rest = line.strip_prefix(mark)?;
    let (index, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((index.parse().ok()?, rest.split(' ').next().unwrap_or("")))
}

fn ending(status: &str) -> &str {
    match status {
        "0" => "ok",
        "137" => "killed, for it did not end",
        _ => "failed",
    }
}

/// The output of every job, cut out of the lanes, with its exit status; None for one that never ended.
fn outputs(lanes: &[String], jobs: usize) -> Vec<Option<(String, String)>> {
    let mut found: Vec<Option<(String, String)>> = vec![None; jobs];
    for lane in lanes {
        let mut text = String::new();
        for line in lane.lines() {
            if marked(line, BEGIN).is_some() {
                text.clear();
            } else if let Some((index, status)) = marked(line, END) {
                if let Some(place) = found.get_mut(index) {
                    *place = Some((std::mem::take(&mut text), status.to_owned()));
                }
            } else {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    found
}

/// Sums what the jobs have counted, and shows what failed. A job without a count, or that says nothing of a failure and
/// ends with another status than 0, is one failure.
fn count(lanes: &[String], jobs: &[Job<'_>], log: &Path) -> Count {
    let mut total = Count::default();
    for (job, output) in jobs.iter().zip(outputs(lanes, jobs.len())) {
        let (text, status) = output.unwrap_or_default();
        let mut count = testing::parse(&text).unwrap_or_default();
        if status != "0" && count.failed == 0 {
            count.failed = 1;
        }
        if count.failed > 0 {
            println!("-- {}: exit status {status:?}", job.title);
            println!("{}", testing::failures(&text));
        }
        total.add(count);
    }
    println!("   the log: {}", log.display());
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_are_cut_into_jobs() {
        let lanes = [
            "\n=== corten begin 0 2.5\ntest a ... ok\n\n=== corten end 0 0 4.0\n".to_owned(),
            "noise\n=== corten begin 1 2.5\ntest b ... \n=== corten end 1 137 9.0\n=== corten begin 2 9.0\ntest c"
                .to_owned(),
        ];
        let outputs = outputs(&lanes, 3);
        assert_eq!(
            outputs[0],
            Some(("test a ... ok\n\n".to_owned(), "0".to_owned()))
        );
        assert_eq!(
            outputs[1],
            Some(("test b ... \n".to_owned(), "137".to_owned()))
        );
        assert_eq!(outputs[2], None);
    }
}
