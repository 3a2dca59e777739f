//! What one command costs in a contestant's machine: time, processor, memory, bytes over loopback.
//!
//! The machine is a process namespace of its own, so all that is in it counts, daemons and their helpers too; the registry,
//! which is there only to be asked, does not.

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The kernel's clock tick as `/proc` tells it.
const TICK: f64 = 10.0;

/// A program that the machine's other programs ask.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    /// Its work is not the contestant's.
    foreign: bool,
}

/// Starts a program and waits until something accepts connections at `address`: a port of loopback or a socket's path.
pub(crate) fn start(argv: &[String], address: &str, log: &Path, foreign: bool) -> Result<Service> {
    let (program, arguments) = argv.split_first().context("an empty command")?;
    let output = File::options().create(true).append(true).open(log)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| argv.join(" "))?;
    let start = Instant::now();
    let answers = || {
        if address.starts_with('/') {
            UnixStream::connect(address).is_ok()
        } else {
            TcpStream::connect(address).is_ok()
        }
    };
    while !answers() {
        if child.try_wait()?.is_some() || start.elapsed() > Duration::from_secs(30) {
            child.kill()?;
            child.wait()?;
            bail!("{} does not answer: see {}", argv.join(" "), log.display());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Service { child, foreign })
}

/// Runs `work` and answers with its milliseconds, the machine's milliseconds of processor, the daemon's highest resident
/// KiB (zero without one), and the KiB that came over loopback.
pub(crate) fn measure(
    services: &[Service],
    daemon: Option<u32>,
    work: impl FnOnce() -> Result<Duration>,
) -> Result<Vec<f64>> {
    if let Some(pid) = daemon {
        // The highest mark begins anew.
        fs::write(format!("/proc/{pid}/clear_refs"), "5").context("reset the highest mark")?;
    }
    let foreign: Vec<u32> = services
        .iter()
        .filter(|service| service.foreign)
        .map(|service| service.child.id())
        .collect();
    let (ticks, wire) = (ticks(&foreign)?, received()?);
    let time = work()?;
    let highest = daemon.map_or(Ok(0.0), highest)?;
    Ok(vec![
        time.as_secs_f64() * 1000.0,
        (self::ticks(&foreign)? - ticks) * TICK,
        highest,
        (received()? - wire) / 1024.0,
    ])
}

/// Processor time of all processes of this namespace and of those that they have reaped.
fn ticks(foreign: &[u32]) -> Result<f64> {
    let mut sum = 0.0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if foreign.contains(&pid) {
            continue;
        }
        // One that has gone meanwhile is in its parent's sum.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default();
        // utime, stime, cutime, cstime: fields 14 to 17 of proc_pid_stat(5), the command's name being the second.
        let times = fields.split_whitespace().skip(11).take(4);
        sum += times
            .filter_map(|word| word.parse::<f64>().ok())
            .sum::<f64>();
    }
    Ok(sum)
}

fn highest(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(word.context("no VmHWM")?.parse()?)
}

/// Bytes that loopback has received since the machine began.
fn received() -> Result<f64> {
    let devices = fs::read_to_string("/proc/self/net/dev")?;
    let line = devices
        .lines()
        .find_map(|line| line.trim().strip_prefix("lo:"));
    let word = line.and_then(|line| line.split_whitespace().next());
    Ok(word.context("no loopback")?.parse()?)
}
