//! One run of the machine: its ports are files that grow, read while it runs, every line with its time kept in a log.
//!
//! The first port is the kernel's console, the others are the lanes' (`guest`). A machine that does not end by itself is
//! ended here, and that is an error with the last lines of the console.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What a machine is made of.
#[derive(Debug)]
pub(super) struct Machine<'run> {
    pub(super) scratch: &'run Path,
    pub(super) kernel: &'run Path,
    pub(super) accelerator: &'static str,
    pub(super) initramfs: &'run Path,
    pub(super) disk: Option<&'run Path>,
    /// Ports beside the console.
    pub(super) lanes: usize,
    /// Ended then, whatever it does.
    pub(super) limit: Duration,
    /// Where its lines are kept.
    pub(super) log: PathBuf,
}

/// A machine that got nothing from its first program in this time has not booted.
const BOOT: Duration = Duration::from_mins(2);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Switched off by itself.
    Off,
    /// Told so by the caller: no warning, as a power cut.
    Cut,
}

/// A port: the file behind it, and what came through it.
struct Port {
    file: File,
    name: String,
    /// Without the carriage returns.
    text: String,
    /// The start of the line that is not complete.
    line: usize,
}

impl Port {
    fn open(directory: &Path, number: usize) -> Result<Self> {
        let path = directory.join(format!("port{number}"));
        File::create(&path)?;
        Ok(Self {
            file: File::open(&path)?,
            name: if number == 0 {
                "console".to_owned()
            } else {
                format!("lane {number}")
            },
            text: String::new(),
            line: 0,
        })
    }

    /// Takes what is new; calls `each` with every complete line.
    fn read(&mut self, mut each: impl FnMut(&str, &str)) -> Result<()> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        self.text.extend(
            String::from_utf8_lossy(&bytes)
                .chars()
                .filter(|letter| *letter != '\r'),
        );
        while let Some(length) = self.text[self.line..].find('\n') {
            each(&self.name, &self.text[self.line..self.line + length]);
            self.line += length + 1;
        }
        Ok(())
    }

    /// The line that has begun: libtest writes a test's name before it runs it.
    fn begun(&self) -> &str {
        self.text[self.line..].trim_end()
    }
}

impl Machine<'_> {
    /// Runs it until it switches itself off or `watch` says that the power is cut. `watch` gets the time, and
    /// every complete line of the lanes, or None many times a second. Returns the text of every lane.
    pub(super) fn run(
        &self,
        mut watch: impl FnMut(f64, Option<&str>) -> Option<End>,
    ) -> Result<(End, Vec<String>)> {
        let mut ports = (0..=self.lanes)
            .map(|number| Port::open(self.scratch, number))
            .collect::<Result<Vec<_>>>()?;
        let mut child = self.start()?;
        let begun = Instant::now();
        let mut log = Vec::new();
        // Written as it comes: whoever waits may look.
        let mut file = File::create(&self.log)?;
        let mut reminded = Instant::now();
        let end = loop {
            let ended = child.try_wait()?;
            let time = begun.elapsed().as_secs_f64();
            let mut cut = watch(time, None);
            for (number, port) in ports.iter_mut().enumerate() {
                port.read(|name, line| {
                    log.push(format!("{time:7.1} {name}: {line}\n"));
                    _ = file.write_all(log[log.len() - 1].as_bytes());
                    if number > 0 {
                        cut = watch(time, Some(line)).or(cut);
                    }
                })?;
            }
            if cut.is_some() {
                break Ok(End::Cut);
            }
            if let Some(status) = ended {
                break if status.success() {
                    Ok(End::Off)
                } else {
                    Err(format!("qemu ended: {status}"))
                };
            }
            if begun.elapsed() > BOOT && ports.iter().skip(1).all(|port| port.text.is_empty()) {
                break Err(format!("it did not boot within {} s", BOOT.as_secs()));
            }
            if begun.elapsed() > self.limit {
                break Err(format!("it did not end within {} s", self.limit.as_secs()));
            }
            if reminded.elapsed() > Duration::from_secs(30) {
                reminded = Instant::now();
                for port in ports.iter().skip(1).filter(|port| !port.begun().is_empty()) {
                    println!("   after {time:.0} s, {}: {}", port.name, port.begun());
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        _ = child.kill();
        _ = child.wait();
        for port in &ports {
            log.push(format!("        {}: {}\n", port.name, port.begun()));
            file.write_all(log[log.len() - 1].as_bytes())?;
        }
        match end {
            Ok(end) => Ok((
                end,
                ports.into_iter().skip(1).map(|port| port.text).collect(),
            )),
            Err(why) => {
                let tail = &log[log.len().saturating_sub(40)..];
                bail!(
                    "the virtual machine: {why}; {} has all of it, and at the end:\n{}",
                    self.log.display(),
                    tail.concat()
                )
            }
        }
    }

    fn start(&self) -> Result<Child> {
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-accel", self.accelerator, "-cpu", "max", "-smp", "2"])
            .args(["-m", "3072", "-display", "none", "-monitor", "none"])
            .args(["-no-reboot", "-nic", "none"])
            .arg("-kernel")
            .arg(self.kernel.join("vmlinuz"))
            .arg("-initrd")
            .arg(self.initramfs)
            .args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off"]);
        for number in 0..=self.lanes {
            let path = self.scratch.join(format!("port{number}"));
            command.args(["-serial", &format!("file:{}", path.display())]);
        }
        if let Some(disk) = self.disk {
            let drive = format!("file={},if=virtio,format=raw", disk.display());
            command.args(["-drive", &drive]);
        }
        command.stdin(Stdio::null()).spawn().context("run qemu")
    }
}
