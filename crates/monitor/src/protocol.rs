//! What the engine and a monitor say to one another.
//!
//! The transport is a SOCK_SEQPACKET unix socket: one packet, one message (postcard); file descriptors ride along as
//! SCM_RIGHTS. The first connection is inherited at spawn; later ones come through the listening socket in the
//! container's run directory (`monitor.sock`), as after a restart of the daemon.
//!
//! ```text
//! engine                                             monitor
//!   │ spawn(monitor) with the control socket; often long before there is a container for it
//!   │ Handover + launch memfd, rootfs mount, netns ─────>│ reads Launch, creates the container up to its exec
//!   │ <────────────────────────────────── Event::Created { pid } | Event::Failed(Failure)
//!   │ Request::Attach + fd ─────────────────────────────>│ (any number, before or after Start)
//!   │ <──────────────────────────────────────── Reply::Done
//!   │ Request::Start ───────────────────────────────────>│ lets the container's process execute its program
//!   │ <────────────────────────────── Reply::Started | Reply::Failed(Failure); then the monitor goes away, without Exited
//!   │ Signal, Resize, Exec (+ fd), Pause, Resume, State  │
//!   │ <──────────────────────── Event::Exited(Exit), after exit.json is on disk; then the monitor goes away
//! ```
//!
//! An attached client's own connection is handed to the monitor: bytes do not pass through the daemon, and an attached
//! terminal survives the daemon's death.

use std::ffi::CStr;

use runtime::plan::Plan;
use serde::{Deserialize, Serialize};

pub use runtime::{Failure, Stage};

/// With what a monitor is executed. The rest of the line is room for the container's id, which stands there once it is
/// known: `corten monitor ID` is one with a container.
pub const ARGUMENTS: [&CStr; 3] = [
    c"corten",
    c"standby",
    c"                                                                ",
];
/// Number of the inherited control socket in the monitor.
pub const CONTROL_FD: i32 = 3;

/// Name of the listening socket in the run directory.
pub const SOCKET: &str = "monitor.sock";
/// Name of the file with the monitor's process id in the run directory.
pub const PID_FILE: &str = "monitor.pid";
/// Name of the file with the [`Exit`] (JSON) in the state directory.
pub const EXIT_FILE: &str = "exit.json";

/// The first packet on the control socket: a monitor that was spawned waits for it. Descriptors ride along: the memory file
/// with the [`Launch`] (read from its beginning), then those that are said to be there, in this order.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Handover {
    /// The container's root, a detached mount ([`runtime::plan::Rootfs::Inherited`]).
    pub rootfs: bool,
    /// The network namespace ([`runtime::plan::Namespace::Inherited`]).
    pub netns: bool,
    /// A sealed memory file with our own program, for the container's init.
    pub executable: bool,
}

/// Everything a monitor has to know. Written once, to a sealed memory file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Launch {
    /// The container's full id, 64 hex digits.
    pub id: String,
    /// Where `monitor.sock` and `monitor.pid` go, absolute (tmpfs).
    pub run_dir: String,
    /// Where `exit.json` and the log go, absolute.
    pub state_dir: String,
    /// Write `exit.json` with fsync (false for `--rm` containers).
    pub durable: bool,
    /// Keep the container's mounts until its end has been told, so that nobody waits for the kernel to take them apart. Not
    /// for a container with mounts of the host's own, which are free at its end, nor for one that may start again.
    pub holds_mounts: bool,
    /// The container's process, ready for the runtime.
    pub plan: Plan,
    /// A terminal, or pipes.
    pub stdio: Stdio,
    /// The json-file log; `None` for the log driver `none`.
    pub log: Option<Log>,
    /// Keys that detach an attached client, by default ctrl-p ctrl-q; empty: none.
    pub detach_keys: Vec<u8>,
}

/// The container's standard streams.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stdio {
    /// A pseudo-terminal instead of three pipes.
    pub tty: bool,
    /// Keep stdin open without an attached client.
    pub open_stdin: bool,
    /// Close stdin once the first attached client that sent input has gone.
    pub stdin_once: bool,
    /// Rows and columns at start, if known.
    pub console_size: Option<(u16, u16)>,
}

/// Docker's json-file log, rotated.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Log {
    /// Absolute path of the newest file; older ones are `PATH.1`, `PATH.2`, …
    pub path: String,
    /// Bytes after which a new file is begun; 0: unlimited.
    pub max_size: u64,
    /// How many files are kept, the newest included; at least 1.
    pub max_files: u32,
}

/// One packet from the engine. `seq` comes back in the reply.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    /// Chosen by the caller, unique on its connection.
    pub seq: u32,
    /// What is asked.
    pub request: Request,
}

/// What the engine asks.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Lets the created container execute its program.
    Start,
    /// Connects a client; with one fd, the client's connection (any stream socket). Its output begins with the next
    /// byte; it is closed when the container ends or the client detaches.
    Attach(Attach),
    /// Sends a signal to the container's first process, or to all.
    Signal {
        /// Signal number.
        signal: i32,
        /// To every process of the container (cgroup kill).
        all: bool,
    },
    /// Resizes the container's terminal, or an exec's.
    Resize {
        /// `None`: the container's.
        exec: Option<String>,
        /// Rows.
        rows: u16,
        /// Columns.
        columns: u16,
    },
    /// Runs one more process in the container; with zero or one fd, the attached client's connection.
    Exec(Box<ExecLaunch>),
    /// Freezes all processes.
    Pause,
    /// Thaws them.
    Resume,
    /// Asks what is running.
    State,
}

/// How a client attaches.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Attach {
    /// Bytes from the client become the container's input.
    pub stdin: bool,
    /// The client gets stdout (everything, with a terminal).
    pub stdout: bool,
    /// The client gets stderr.
    pub stderr: bool,
    /// Overrides the container's detach keys.
    pub detach_keys: Option<Vec<u8>>,
    /// Bytes the client sent before its connection was handed over.
    pub early_input: Vec<u8>,
}

/// One more process in a running container.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExecLaunch {
    /// The exec's id, 64 hex digits.
    pub id: String,
    /// The process: arguments, environment, user, capabilities, …
    pub process: runtime::plan::Process,
    /// A terminal, or pipes (`open_stdin`: the client's input is wanted).
    pub stdio: Stdio,
    /// What the client's connection gets; ignored without an fd.
    pub attach: Attach,
}

/// One packet from the monitor.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// The answer to the call with that number.
    Reply(u32, Reply),
    /// Unasked, to every connection.
    Event(Event),
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// The container or exec executes its program.
    Started {
        /// Its process id as the host sees it.
        pid: i32,
    },
    /// It could not be done.
    Failed(Failure),
    /// The process this is about is gone (or never was).
    NotRunning,
    /// What is running.
    State {
        /// The container's process id.
        pid: i32,
        /// Start has happened.
        started: bool,
        /// Frozen by Pause.
        paused: bool,
        /// Nanoseconds since the epoch; 0 before Start.
        started_at: u64,
        /// Running execs.
        execs: Vec<(String, i32)>,
    },
}

/// What happened by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The container's process waits for Start.
    Created {
        /// Its process id as the host sees it.
        pid: i32,
        /// What this host could not do for it.
        warnings: Vec<String>,
    },
    /// The container could not be created; the monitor goes away.
    Failed(Failure),
    /// The container has ended; the last message of a monitor.
    Exited(Exit),
    /// An exec has ended.
    ExecExited {
        /// Which one.
        id: String,
        /// 0–255, or 128 + the signal.
        code: i32,
    },
}

/// How a container ended: the content of `exit.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 0–255, or 128 + the signal.
    pub code: i32,
    /// The kernel killed it for want of memory.
    pub oom_killed: bool,
    /// Nanoseconds since the epoch.
    pub started_at: u64,
    /// Nanoseconds since the epoch.
    pub finished_at: u64,
}
