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

use super::kernel;

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
    /// Where its lines are added.
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

/// All ports, and everything that came through them.
struct Ports {
    list: Vec<Port>,
    log: Vec<String>,
    /// The log as it comes: whoever waits may look.
    file: File,
}

impl Ports {
    fn open(machine: &Machine<'_>) -> Result<Self> {
        Ok(Self {
            list: (0..=machine.lanes)
                .map(|number| Port::open(machine.scratch, number))
                .collect::<Result<_>>()?,
            log: Vec::new(),
            file: File::options()
                .create(true)
                .append(true)
                .open(&machine.log)?,
        })
    }

    /// Takes what is new; shows `watch` every line of the lanes, and returns what it said last.
    fn hear(
        &mut self,
        time: f64,
        watch: &mut impl FnMut(f64, Option<&str>) -> Option<End>,
    ) -> Result<Option<End>> {
        let mut end = None;
        for (number, port) in self.list.iter_mut().enumerate() {
            port.read(|name, line| {
                let line_of_log = format!("{time:7.1} {name}: {line}\n");
                _ = self.file.write_all(line_of_log.as_bytes());
                self.log.push(line_of_log);
                if number > 0 {
                    end = watch(time, Some(line)).or(end);
                }
            })?;
        }
        Ok(end)
    }

    /// Lines that never ended: the last words.
    fn close(&mut self) -> Result<()> {
        for port in &self.list {
            let words = format!("        {}: {}\n", port.name, port.begun());
            self.file.write_all(words.as_bytes())?;
            self.log.push(words);
        }
        Ok(())
    }

    fn lanes(&self) -> impl Iterator<Item = &Port> {
        self.list.iter().skip(1)
    }
}

impl Machine<'_> {
    /// Runs it until it switches itself off or `watch` says that the power is cut. `watch` gets the time, and
    /// every complete line of the lanes, or None many times a second. Returns the text of every lane.
    pub(super) fn run(
        &self,
        mut watch: impl FnMut(f64, Option<&str>) -> Option<End>,
    ) -> Result<(End, Vec<String>)> {
        let mut ports = Ports::open(self)?;
        let mut child = self.start()?;
        let begun = Instant::now();
        let mut reminded = Instant::now();
        let end = loop {
            let ended = child.try_wait()?;
            let time = begun.elapsed().as_secs_f64();
            let cut = watch(time, None);
            if ports.hear(time, &mut watch)?.or(cut).is_some() {
                break Ok(End::Cut);
            }
            if let Some(status) = ended {
                break if status.success() {
                    Ok(End::Off)
                } else {
                    Err(format!("qemu ended: {status}"))
                };
            }
            if begun.elapsed() > BOOT && ports.lanes().all(|port| port.text.is_empty()) {
                break Err(format!("it did not boot within {} s", BOOT.as_secs()));
            }
            if begun.elapsed() > self.limit {
                break Err(format!("it did not end within {} s", self.limit.as_secs()));
            }
            if reminded.elapsed() > Duration::from_secs(30) {
                reminded = Instant::now();
                for port in ports.lanes().filter(|port| !port.begun().is_empty()) {
                    println!("   after {time:.0} s, {}: {}", port.name, port.begun());
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        _ = child.kill();
        _ = child.wait();
        // What it said between the last look and its end counts too.
        ports.hear(begun.elapsed().as_secs_f64(), &mut watch)?;
        ports.close()?;
        match end {
            Ok(end) => Ok((
                end,
                ports
                    .list
                    .into_iter()
                    .skip(1)
                    .map(|port| port.text)
                    .collect(),
            )),
            Err(why) => {
                let tail = &ports.log[ports.log.len().saturating_sub(40)..];
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
            .args(["-append", &kernel::command_line(self.accelerator)]);
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
