//! Ends: of an exec, of the container, of the monitor.
//!
//! ```text
//! first process reaped ─> rest of the cgroup killed ─> output drained, log written ─> exit.json on disk
//!   ─> Event::Exited ─> a lull ─> namespaces let go of, cgroup removed ─> engines let go of
//!   ─> clients get what they have not read ─> the monitor ends
//! ```
//!
//! As in Docker, a client has as long as it stays to read the rest of its output: the exit code says that this is all of it.
//! Nobody else waits for that: a monitor without engines, socket and control group is nothing but that output's bearer.

use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

use crate::control::{Engine, nanoseconds};
use crate::protocol::{EXIT_FILE, Event, Exit};
use crate::streams::Streams;
use crate::watch::Monitor;

/// How long output is waited for that another process keeps open.
const DRAIN: Duration = Duration::from_secs(2);

/// How long engines have to take the news of an end before clients see it.
const HEARING: Duration = Duration::from_millis(50);

/// How long those who act upon the news of an end are left alone: what takes the container apart takes processors from them.
const LULL: Duration = Duration::from_millis(2);

/// A process that was put into the container.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) id: String,
    pub(crate) pid: i32,
    pub(crate) streams: Streams,
    pub(crate) ended: Option<Ended>,
    /// Engines know of its end.
    pub(crate) announced: bool,
}

/// An exec that is no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    code: i32,
    /// When output that is still waited for is given up.
    deadline: Instant,
}

/// A container whose first process is no more.
#[derive(Debug)]
pub(crate) struct Ending {
    /// What is to be recorded; none if it never ran, or when it has been recorded.
    exit: Option<Exit>,
    /// When output that is still waited for is given up.
    deadline: Instant,
    /// Nothing but farewells is left.
    recorded: bool,
}

impl Monitor {
    /// Takes every child that has ended.
    pub(crate) fn reap(&mut self) {
        while let Ok(Some((pid, ended))) = sys::process::reap_any() {
            if pid == self.container.pid() {
                self.first_process_ended(ended.code());
            } else if let Some(exec) = self
                .execs
                .iter_mut()
                .find(|exec| exec.pid == pid && exec.ended.is_none())
            {
                exec.ended = Some(Ended {
                    code: ended.code(),
                    deadline: Instant::now() + DRAIN,
                });
            }
        }
    }

    fn first_process_ended(&mut self, code: i32) {
        if self.ending.is_some() {
            return;
        }
        let exit = Exit {
            code,
            oom_killed: self.container.oom_killed(),
            started_at: self.started_at,
            finished_at: nanoseconds(SystemTime::now()),
        };
        self.container.kill_rest();
        self.ending = Some(Ending {
            exit: Some(exit),
            deadline: Instant::now() + DRAIN,
            recorded: false,
        });
    }

    /// The program could not be executed: there is no exit to record.
    pub(crate) fn never_started(&mut self) {
        self.container.kill_rest();
        self.ending = Some(Ending {
            exit: None,
            deadline: Instant::now() + DRAIN,
            recorded: false,
        });
    }

    /// Announces execs whose output is complete, forgets those whose clients have it.
    pub(crate) fn finish_execs(&mut self) {
        let now = Instant::now();
        for place in 0..self.execs.len() {
            let exec = &mut self.execs[place];
            let Some(ended) = exec.ended else { continue };
            if !exec.announced && (exec.streams.has_ended() || now >= ended.deadline) {
                exec.streams.end(&mut None);
                exec.announced = true;
                let event = Event::ExecExited {
                    id: exec.id.clone(),
                    code: ended.code,
                };
                self.announce(event);
                self.heard();
                self.execs[place].streams.dismiss();
            }
        }
        self.execs
            .retain(|exec| !exec.announced || exec.streams.has_clients());
    }

    /// Records and announces the end of the container once its output is complete.
    pub(crate) fn finish_container(&mut self) {
        let now = Instant::now();
        let Some(ending) = &mut self.ending else {
            return;
        };
        let execs_done = self.execs.iter().all(|exec| exec.announced);
        if ending.recorded || (!(self.streams.has_ended() && execs_done) && now < ending.deadline) {
            return;
        }
        ending.recorded = true;
        let exit = ending.exit.take();
        self.streams.end(&mut self.log);
        if let Some(mut log) = self.log.take() {
            log.flush();
        }
        let has_run = exit.is_some();
        if let Some(exit) = exit {
            self.record(&exit);
            self.announce(Event::Exited(exit));
            self.heard();
        }
        self.streams.dismiss();
        for exec in self.execs.iter_mut().filter(|exec| !exec.announced) {
            exec.streams.end(&mut None);
            exec.streams.dismiss();
            exec.announced = true;
        }
        if has_run {
            std::thread::sleep(LULL);
        }
        self.container.release();
        self.container.remove_cgroup();
        self.let_go();
    }

    /// Is not the container's monitor any more: its place is free for that of the next run.
    fn let_go(&mut self) {
        self.settings.clear_run_dir();
        self.listener = None;
        self.engines.clear();
    }

    /// When output that is still waited for is given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let execs = self.execs.iter().filter(|exec| !exec.announced);
        let execs = execs.filter_map(|exec| exec.ended.map(|ended| ended.deadline));
        let ending = self.ending.iter().filter(|ending| !ending.recorded);
        execs.chain(ending.map(|ending| ending.deadline)).min()
    }

    /// Waits a moment until the engines have taken their messages: a client that sees the end of its stream asks them
    /// for the exit code at once.
    fn heard(&self) {
        let begun = Instant::now();
        let unheard = |engine: &Engine| sys::socket::has_unread(engine.socket.as_fd());
        while self.engines.iter().any(unheard) && begun.elapsed() < HEARING {
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Writes exit.json. That it cannot be written is no reason not to tell those who listen.
    fn record(&self, exit: &Exit) {
        let path = self.settings.state_dir.join(EXIT_FILE);
        if let Ok(json) = serde_json::to_vec(exit) {
            store::write_atomic(&path, &json, self.settings.durable).ok();
        }
    }

    /// Says whether the monitor has nothing left to do.
    pub(crate) fn is_over(&self) -> bool {
        let Some(ending) = &self.ending else {
            return false;
        };
        let mut all =
            std::iter::once(&self.streams).chain(self.execs.iter().map(|exec| &exec.streams));
        ending.recorded && !all.any(Streams::has_clients)
    }
}
