//! Everything at once, while daemon and monitors are killed at random: in the end nothing is left.
//!
//! Ten seconds on every change; `CORTEN_SOAK_SECONDS` makes it longer (`cargo xtask soak SECONDS`).

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use testkit::{Context, command, fixtures, leaks};

/// No command may take longer, whatever is killed meanwhile.
const STUCK: Duration = Duration::from_secs(20);

/// A sequence that looks random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }

    fn choose<'a>(&mut self, list: &[&'a str]) -> Option<&'a str> {
        (!list.is_empty()).then(|| list[self.below(list.len())])
    }
}

#[test]
fn nothing_is_left_after_random_kills() {
    let seconds = std::env::var("CORTEN_SOAK_SECONDS").map_or(10, |text| {
        text.parse().expect("CORTEN_SOAK_SECONDS is a number")
    });
    let mut context = Context::busybox();
    let end = Instant::now() + Duration::from_secs(seconds);
    let socket = context.socket();
    let stuck = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for seed in 1..=3 {
            let (socket, stuck) = (&socket, &stuck);
            scope.spawn(move || work(socket, Dice(seed * 0x9e37_79b9), end, stuck));
        }
        kill(&mut context, Dice(7), end);
    });
    let stuck = stuck.into_inner().expect("the workers' list");
    assert!(stuck.is_empty(), "stuck: {stuck:?}");
    let all = context.corten(&["ps", "-aq"]).ok().to_owned();
    let mut arguments = vec!["rm", "-f"];
    arguments.extend(all.lines());
    if arguments.len() > 2 {
        context.corten(&arguments).ok();
    }
    let left = leaks::settle(Duration::from_secs(10), || {
        leaks::of_containers(context.names())
    });
    assert!(
        left.is_empty(),
        "left behind:\n{}\n{}",
        left.join("\n"),
        context.daemon_log()
    );
    assert_eq!(
        context
            .corten(&["run", "--rm", "busybox", "echo", "fine"])
            .ok(),
        "fine"
    );
    context.corten(&["image", "fsck"]).ok();
}

/// What users do, in no order. Commands may fail, since the daemon is killed under them; none may hang.
fn work(socket: &Path, mut dice: Dice, end: Instant, stuck: &Mutex<Vec<String>>) {
    let corten = |arguments: &[&str]| {
        let mut command = Command::new(fixtures::corten());
        command
            .arg("--host")
            .arg(format!("unix://{}", socket.display()))
            .args(arguments);
        match command::Running::start(&mut command, b"").wait(STUCK) {
            Ok(output) => output.stdout,
            Err(output) => {
                let mut stuck = stuck.lock().expect("the list of stuck commands");
                stuck.push(format!("{arguments:?}: {output:?}"));
                String::new()
            }
        }
    };
    while Instant::now() < end {
        match dice.below(7) {
            0 => drop(corten(&["run", "--rm", "busybox", "true"])),
            1 => drop(corten(&["run", "-d", "busybox", "sleep", "1000"])),
            2 => drop(corten(&["run", "-d", "--rm", "busybox", "sleep", "0.3"])),
            3 => drop(corten(&[
                "run",
                "--network",
                "none",
                "busybox",
                "sleep",
                "0.1",
            ])),
            action => {
                let all = corten(&["ps", "-aq"]);
                let Some(id) = dice.choose(&all.lines().collect::<Vec<_>>()) else {
                    continue;
                };
                match action {
                    4 => drop(corten(&["rm", "-f", id])),
                    5 => drop(corten(&["exec", id, "echo", "hi"])),
                    _ => drop(corten(&["start", id])),
                }
            }
        }
    }
}

/// Kills the daemon, or one of the monitors.
fn kill(context: &mut Context, mut dice: Dice, end: Instant) {
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100 + dice.below(800) as u64));
        if dice.below(3) > 0 {
            context.kill_daemon();
            context.start_daemon();
            continue;
        }
        let containers = context.directory().join("run/containers");
        let found: Vec<u32> = fs::read_dir(containers)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| fs::read_to_string(entry.path().join("monitor.pid")).ok())
            .filter_map(|pid| pid.trim().parse().ok())
            // The number may be another's by now.
            .filter(|pid| {
                fs::read(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|line| line.starts_with(b"corten\0monitor"))
            })
            .collect();
        if !found.is_empty() {
            command::signal(found[dice.below(found.len())], "KILL");
        }
    }
}
