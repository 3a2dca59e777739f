//! Programs with an end: every command has a time limit, and is killed by its own id where it passes it.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// No command of a test takes longer.
pub const LIMIT: Duration = Duration::from_mins(4);

/// What a command wrote and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code, 128 + n for a signal.
    pub code: i32,
}

impl Output {
    /// The standard output without its last line feed; a code other than 0 fails the test.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(
            self.code, 0,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self.stdout.strip_suffix('\n').unwrap_or(&self.stdout)
    }

    /// The standard error; any other code than this fails the test.
    #[track_caller]
    pub fn fails(&self, code: i32) -> &str {
        assert_eq!(
            self.code, code,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        &self.stderr
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    run_with(command, b"", LIMIT)
}

/// Runs a command that reads `stdin`, for at most so long; fails the test where it takes longer.
#[track_caller]
pub fn run_with(command: &mut Command, stdin: &[u8], limit: Duration) -> Output {
    let line = format!("{command:?}");
    Running::start(command, stdin)
        .wait(limit)
        .unwrap_or_else(|partial| panic!("{line}: not done after {limit:?}: {partial:?}"))
}

/// A command that runs, its output being collected.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// Starts a command and feeds it its standard input.
    #[track_caller]
    pub fn start(command: &mut Command, stdin: &[u8]) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut input = child.stdin.take().expect("stdin is a pipe");
        let stdin = stdin.to_vec();
        // A command may end without reading; its broken pipe is no failure of the test.
        thread::spawn(move || input.write_all(&stdin));
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end. `Err` is what there was when the time had passed; the command has been killed.
    pub fn wait(mut self, limit: Duration) -> Result<Output, Output> {
        let deadline = Instant::now() + limit;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                Ok(None) | Err(_) => break None,
            }
        };
        if status.is_none() {
            _ = self.child.kill();
            _ = self.child.wait();
        }
        let text = |thread: Option<JoinHandle<Vec<u8>>>| {
            let bytes = thread
                .and_then(|thread| thread.join().ok())
                .unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let output = Output {
            stdout: text(self.stdout.take()),
            stderr: text(self.stderr.take()),
            code: status.map_or(-1, exit_code),
        };
        if status.is_some() {
            Ok(output)
        } else {
            Err(output)
        }
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// The exit code as a shell counts it.
fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Sends a signal to one process, by its id.
pub fn signal(pid: u32, signal: &str) -> bool {
    Command::new("kill")
        .args([&format!("-{signal}"), &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Waits until something holds, for at most so long.
pub fn eventually(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
