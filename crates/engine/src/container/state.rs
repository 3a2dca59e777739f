//! How a container stands. A pid exists only while something runs, an exit only after it.
//!
//! ```text
//! Created ──start──> Running <──pause/unpause──> Paused
//!                       │                           │
//!                       └───── exit (supervise) ────┴──> Exited ──start──> Running
//! ```
//!
//! Transitions in progress are not states: they are values of `lease`, undone when dropped.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// How a container stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// Never ran. If a start failed, why.
    Created(Option<StartFailure>),
    /// Its process runs.
    Running(Running),
    /// Its processes are frozen.
    Paused(Running),
    /// It ran and ended.
    Exited(Exited),
    /// It could not be removed wholly; only removing is left.
    Dead(String),
}

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// The first process's id on the host.
    pub pid: i32,
    /// Since when.
    pub started_at: SystemTime,
}

/// A container that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exited {
    /// 0 to 255, or 128 + the signal.
    pub code: i32,
    /// The kernel killed it for want of memory.
    pub oom_killed: bool,
    /// Why, if the engine has something to say.
    pub error: String,
    /// When it began.
    pub started_at: SystemTime,
    /// When it ended.
    pub finished_at: SystemTime,
}

/// A start that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFailure {
    /// 125, 126 or 127 (Docker keeps 128 for all others: see `ops::container::start`).
    pub code: i32,
    /// Docker's text.
    pub error: String,
}

impl State {
    /// The status word that clients see.
    pub fn docker_status(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Running(_) => "running",
            Self::Paused(_) => "paused",
            Self::Exited(_) => "exited",
            Self::Dead(_) => "dead",
        }
    }

    /// The running process, frozen or not.
    pub fn running(&self) -> Option<&Running> {
        match self {
            Self::Running(running) | Self::Paused(running) => Some(running),
            _ => None,
        }
    }

    /// Whether a process of the container exists (moby's Running, which is true of a paused one).
    pub fn is_running(&self) -> bool {
        self.running().is_some()
    }

    /// The pid, or 0.
    pub fn pid(&self) -> i32 {
        self.running().map_or(0, |running| running.pid)
    }

    /// The exit code that `inspect` shows: 0 while it has none.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Exited(exit) => exit.code,
            Self::Created(Some(failure)) => failure.code,
            _ => 0,
        }
    }

    /// The error text that `inspect` shows.
    pub fn error(&self) -> &str {
        match self {
            Self::Exited(exit) => &exit.error,
            Self::Created(Some(failure)) => &failure.error,
            Self::Dead(why) => why,
            _ => "",
        }
    }

    /// Since when it runs, or when it last began.
    pub fn started_at(&self) -> Option<SystemTime> {
        match self {
            Self::Exited(exit) => Some(exit.started_at),
            _ => self.running().map(|running| running.started_at),
        }
    }

    /// When it ended.
    pub fn finished_at(&self) -> Option<SystemTime> {
        match self {
            Self::Exited(exit) => Some(exit.finished_at),
            _ => None,
        }
    }
}

/// A time from nanoseconds since the epoch, as monitors give it.
pub fn time_from_nanos(nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_exists_only_while_something_runs() {
        let running = Running {
            pid: 7,
            started_at: time_from_nanos(1),
        };
        assert_eq!(State::Running(running.clone()).pid(), 7);
        assert!(State::Paused(running).is_running());
        let created = State::Created(Some(StartFailure {
            code: 127,
            error: "x".into(),
        }));
        assert_eq!(
            (created.pid(), created.exit_code(), created.docker_status()),
            (0, 127, "created")
        );
    }
}
