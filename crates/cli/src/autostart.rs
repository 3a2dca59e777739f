//! The daemon that starts itself: one client wins the lock, starts it and waits until it answers.
//!
//! Only for the default socket, only as root, and only when nobody named a host. The daemon leaves the session and the
//! cgroup of whoever happened to be first, and stops by itself when idle.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use client::Client;
use sys::spawn::Groups;

use crate::env::Env;
use crate::report::{self, Failure};

const EXEC_ROOT: &str = "/run/corten";
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts the daemon unless somebody else just did; false when it did not come up in time.
pub(crate) async fn start(env: &Env, client: &Client) -> Result<bool, Failure> {
    std::fs::create_dir_all(EXEC_ROOT)
        .map_err(|error| report::io_failure("mkdir", EXEC_ROOT, &error))?;
    let lock = open(
        OpenOptions::new().create(true).write(true).truncate(false),
        "start.lock",
    )?;
    lock.lock()
        .map_err(|error| report::io_failure("lock", "/run/corten/start.lock", &error))?;
    if client.connect().await.is_ok() {
        return Ok(true);
    }
    report::print_error("Starting the Corten daemon (it stops by itself when idle)...");
    let log = open(OpenOptions::new().create(true).append(true), "daemon.log")?;
    let daemon = spawn(env, &log).map_err(|error| {
        Failure::new(format!(
            "start the Corten daemon: {}",
            report::reason(&error)
        ))
    })?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if client.connect().await.is_ok() {
            return Ok(true);
        }
        if has_ended(daemon.pid) {
            return Err(Failure::new(format!(
                "the Corten daemon ended at once; its log is {EXEC_ROOT}/daemon.log"
            )));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(false)
}

fn open(options: &OpenOptions, name: &str) -> Result<File, Failure> {
    let path = Path::new(EXEC_ROOT).join(name);
    options
        .open(&path)
        .map_err(|error| report::io_failure("open", &path.to_string_lossy(), &error))
}

fn spawn(env: &Env, log: &File) -> io::Result<sys::spawn::Spawned> {
    let exe = OwnedFd::from(File::open("/proc/self/exe")?);
    let args = ["corten", "daemon", "--idle-exit", "60"];
    let args: Vec<CString> = args
        .iter()
        .filter_map(|word| CString::new(*word).ok())
        .collect();
    let kept = [
        "PATH",
        "HOME",
        "TZ",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    ];
    let variables: Vec<CString> = kept
        .iter()
        .filter_map(|name| CString::new(format!("{name}={}", env.variable(name)?)).ok())
        .collect();
    let fds = [(log.as_fd(), 1), (log.as_fd(), 2)];
    sys::spawn::spawn(&exe, &args, &variables, &fds, true, &own_cgroup()?)
}

/// A cgroup of the daemon's own on the unified hierarchy, where a session's end or limit does not reach it.
fn own_cgroup() -> io::Result<Groups> {
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let unified = roots
        .iter()
        .find(|root| Path::new(root).join("cgroup.controllers").exists());
    let Some(root) = unified else {
        return Ok(Groups::default());
    };
    let group = Path::new(root).join("corten-daemon");
    match std::fs::create_dir(&group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Ok(Groups::default()),
        _ => Groups::open(&[group.join("cgroup.procs")]),
    }
}

fn has_ended(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.is_empty()
        || status
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('Z'))
}
