//! Commands that a signal ends: they cancel what they asked for and exit with 128 + n, without a word, as docker's do; what
//! was verified is kept, nothing half done is.

use std::fs;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::command::{self, eventually};
use testkit::registry::{Answer, Scripted};
use testkit::{Context, fixtures};

use crate::registry_evil::{Repository, filter, serve, tar};

/// Signals, and the exit codes that they lead to.
const SIGNALS: [(&str, i32); 2] = [("INT", 130), ("TERM", 143)];
const SOON: Duration = Duration::from_secs(20);

/// A command line's way to make a command of words.
type Cli = fn(&Context, &[&str]) -> Command;

fn clis() -> Vec<Cli> {
    let mut clis: Vec<Cli> = vec![Context::corten_command];
    if fixtures::docker().is_some() {
        clis.push(Context::docker_command);
    }
    clis
}

/// A command that runs, its input being open and empty, and what of its output was read.
struct Started(Child, String);

impl Started {
    fn new(mut command: Command) -> Self {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.expect("start the command"), String::new())
    }

    /// Waits until it has said this.
    #[track_caller]
    fn says(&mut self, words: &str) {
        let stdout = self.0.stdout.as_mut().expect("a pipe");
        while !self.1.contains(words) {
            let mut byte = [0];
            stdout.read_exact(&mut byte).expect("it says more");
            self.1.push(char::from(byte[0]));
        }
    }

    /// Whether it takes SIGINT and SIGTERM in hand.
    fn minds_signals(&self) -> bool {
        const BOTH: u64 = 1 << 1 | 1 << 14;
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()));
        let status = status.unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        caught.is_some_and(|mask| mask & BOTH == BOTH)
    }

    /// Sends a signal; the exit code (none where the signal killed it), its output and its complaints.
    #[track_caller]
    fn interrupted(mut self, signal: &str) -> (Option<i32>, String, String) {
        assert!(command::signal(self.0.id(), signal));
        let mut status = None;
        let ended = eventually(SOON, || {
            status = self.0.try_wait().expect("its status");
            status.is_some()
        });
        if !ended {
            drop(self.0.kill());
            drop(self.0.wait());
            panic!("it goes on after SIG{signal}");
        }
        let (mut stdout, mut stderr) = (self.1, String::new());
        let (out, err) = (self.0.stdout.take(), self.0.stderr.take());
        out.map(|mut pipe| pipe.read_to_string(&mut stdout));
        err.map(|mut pipe| pipe.read_to_string(&mut stderr));
        (status.and_then(|status| status.code()), stdout, stderr)
    }
}

/// Something that is asked for and then kept waiting until it may go on.
#[derive(Clone, Default)]
struct Gate {
    asked: Arc<AtomicBool>,
    open: Arc<AtomicBool>,
}

impl Gate {
    fn pass(&self) {
        self.asked.store(true, Ordering::SeqCst);
        eventually(Duration::from_secs(40), || self.open.load(Ordering::SeqCst));
    }

    /// Whether somebody has come since the last time.
    fn asked(&self) -> bool {
        self.asked_within(SOON)
    }

    fn asked_within(&self, limit: Duration) -> bool {
        eventually(limit, || self.asked.swap(false, Ordering::SeqCst))
    }

    /// A command that has come here. One that follows upon another's heels joins what that has asked for, as long as the
    /// daemon has not given it up, and asks for nothing: it is ended, and another begun. Or it is that other's daemon that
    /// asked once more, and this command has just begun.
    #[track_caller]
    fn reached(&self, command: impl Fn() -> Command) -> Started {
        for _ in 0..10 {
            let started = Started::new(command());
            if self.asked_within(SOON / 10) {
                assert!(eventually(SOON, || started.minds_signals()));
                return started;
            }
            started.interrupted("INT");
        }
        panic!("the layer is asked for");
    }
}

#[test]
fn a_pull_that_is_interrupted_ends_without_a_word_and_keeps_what_it_has() {
    let context = Context::new();
    let tree = context.directory().join("tree");
    let mut repository = Repository::default();
    let first = repository.layer(&tar(&tree, &["bin"]));
    let large = filter("head", &["-c", "100000", "/dev/urandom"], b"");
    fs::write(tree.join("large"), large).expect("write");
    let slow = repository.layer(&tar(&tree, &["large"]));
    let gate = Gate::default();
    let registry = {
        let gate = gate.clone();
        serve(repository, move |name, request, bytes| {
            if name == slow {
                gate.pass();
            }
            Some(Answer::range(request, bytes))
        })
    };
    let name = format!("{}/slow", registry.host());
    let kept = context
        .directory()
        .join("data/content/blobs/sha256")
        .join(&first["sha256:".len()..]);
    for cli in clis() {
        for (signal, code) in SIGNALS {
            let mut pull = gate.reached(|| cli(&context, &["pull", &name]));
            pull.says("Pulling from slow");
            assert!(eventually(SOON, || kept.exists()), "the other one comes");
            let (exit, stdout, stderr) = pull.interrupted(signal);
            assert_eq!((exit, stderr.as_str()), (Some(code), ""), "{stdout}");
            assert!(stdout.contains("Pulling from slow"), "{stdout}");
            assert!(kept.exists(), "what was verified is gone");
            // The daemon gives up its download, too.
            let unpacking = || {
                let entries = fs::read_dir(context.directory().join("data/snapshots"));
                entries
                    .expect("snapshots")
                    .flatten()
                    .any(|entry| entry.file_name().to_string_lossy().starts_with("extract"))
            };
            assert!(eventually(SOON, || !unpacking()));
        }
    }
    // Docker's goes on until it has been told three times.
    let run = gate.reached(|| context.corten_command(&["run", "--rm", &name]));
    let (exit, _, stderr) = run.interrupted("INT");
    assert_eq!(exit, Some(130), "{stderr}");
    gate.open.store(true, Ordering::SeqCst);
    context.corten(&["pull", &name]).ok();
    let firsts = registry.requests();
    let firsts = firsts.iter().filter(|one| one.path.ends_with(&first));
    assert_eq!(firsts.count(), 1, "what was kept came again");
    assert_eq!(context.corten(&["run", "--rm", &name]).ok(), "whole");
    context.corten(&["image", "fsck"]).ok();
}

#[test]
fn a_push_and_a_load_that_are_interrupted_end_without_a_word() {
    let context = Context::busybox();
    let gate = Gate::default();
    let registry = {
        let gate = gate.clone();
        Scripted::start(move |request| {
            if request.method == "POST" {
                gate.pass();
            }
            if request.path == "/v2/" {
                Answer::ok("{}")
            } else {
                Answer::new(404)
            }
        })
    };
    let name = format!("{}/slow", registry.host());
    context.corten(&["tag", "busybox", &name]).ok();
    for cli in clis() {
        for (signal, code) in SIGNALS {
            let push = Started::new(cli(&context, &["push", &name]));
            assert!(gate.asked(), "an upload is asked for");
            let (exit, stdout, stderr) = push.interrupted(signal);
            assert_eq!((exit, stderr.as_str()), (Some(code), ""), "{stdout}");

            // Nothing comes on its input.
            let spools = || {
                let ingest = context.directory().join("data/content/ingest");
                fs::read_dir(ingest).expect("a directory").count()
            };
            let load = Started::new(cli(&context, &["load"]));
            assert!(eventually(SOON, || spools() > 0), "the daemon waits");
            let (exit, stdout, stderr) = load.interrupted(signal);
            assert_eq!(
                (exit, stdout.as_str(), stderr.as_str()),
                (Some(code), "", "")
            );
            assert!(eventually(SOON, || spools() == 0), "a beginning is left");
        }
    }
    gate.open.store(true, Ordering::SeqCst);
}

#[test]
fn a_save_that_is_interrupted_leaves_nothing() {
    let context = Context::new();
    context.load("layered");
    let directory = context.directory().join("saved");
    fs::create_dir(&directory).expect("a directory");
    let target = directory.join("image.tar");
    let target = target.to_str().expect("UTF-8");
    let entries = || fs::read_dir(&directory).expect("a directory").count();
    // A save may be done before it is told to stop; not all of them are.
    let stopped = (0..20).any(|_| {
        let save = Started::new(context.corten_command(&["save", "-o", target, "layered"]));
        assert!(eventually(SOON, || entries() > 0));
        let (exit, _, stderr) = save.interrupted("INT");
        assert_eq!(stderr, "");
        let done = exit == Some(0);
        assert!(done || (exit == Some(130) && entries() == 0), "{exit:?}");
        if done {
            fs::remove_file(target).expect("remove what was saved");
        }
        !done
    });
    assert!(stopped);
    // One that waits for whoever reads it; docker's hangs here.
    let mut save = Started::new(context.corten_command(&["save", "layered"]));
    let stdout = save.0.stdout.as_mut().expect("a pipe");
    stdout.read_exact(&mut [0]).expect("it begins");
    let (exit, _, stderr) = save.interrupted("TERM");
    assert_eq!((exit, stderr.as_str()), (Some(143), ""));
}
