//! The end of a command by a signal: what must not stay is undone, and the exit code says which signal it was.
//!
//! It is done in the signal's handler, since a command may wait anywhere: for an answer, for its input, for a pipe that
//! nobody reads. A handler may not take locks or free memory, so what it needs lies behind pointers that are never freed.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// What asks a command to stop.
const SIGNALS: [libc::c_int; 2] = [libc::SIGINT, libc::SIGTERM];

static FILE: AtomicPtr<CString> = AtomicPtr::new(ptr::null_mut());
static TERMINAL: AtomicPtr<Terminal> = AtomicPtr::new(ptr::null_mut());

/// A terminal and how it was.
struct Terminal {
    fd: RawFd,
    before: libc::termios,
}

extern "C" fn leave(signal: libc::c_int) {
    // SAFETY: null or a leaked box that is never written to.
    if let Some(path) = unsafe { FILE.load(Ordering::Acquire).as_ref() } {
        // SAFETY: a string with its zero; unlink is async-signal-safe.
        unsafe { libc::unlink(path.as_ptr()) };
    }
    // SAFETY: null or a leaked box that is never written to.
    if let Some(terminal) = unsafe { TERMINAL.load(Ordering::Acquire).as_ref() } {
        // SAFETY: settings that the kernel gave; tcsetattr is async-signal-safe. Nothing is waited for: a terminal that is
        // held (^S) would never have written its output.
        unsafe { libc::tcsetattr(terminal.fd, libc::TCSANOW, &raw const terminal.before) };
    }
    // SAFETY: ends the process; _exit is async-signal-safe.
    unsafe { libc::_exit(128 + signal) }
}

/// From now on SIGINT and SIGTERM end the process with the exit code 128 + n. One that was ignored when the process began
/// stays so: a shell's background job is not for the terminal's keys.
pub fn on_signals() {
    for signal in SIGNALS {
        if is_ignored(signal) {
            continue;
        }
        // SAFETY: all zeroes is a valid sigaction: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = leave as extern "C" fn(libc::c_int) as usize;
        // SAFETY: `leave` does nothing that a signal handler must not.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }
}

/// They do what they do by default again, for one who takes care of them in another way.
pub fn no_more() {
    for signal in SIGNALS {
        if !is_ignored(signal) {
            // SAFETY: the default disposition installs no code.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: all zeroes is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is changed; `action` is filled in.
    unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
    action.sa_sigaction == libc::SIG_IGN
}

/// A file that goes when a signal ends the process, until this is dropped. One at a time.
#[derive(Debug)]
pub struct Temporary(());

impl Temporary {
    /// The file need not be there yet.
    pub fn new(path: &Path) -> io::Result<Self> {
        let path = Box::new(CString::new(path.as_os_str().as_bytes())?);
        FILE.store(Box::leak(path), Ordering::Release);
        Ok(Self(()))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        FILE.store(ptr::null_mut(), Ordering::Release);
    }
}

/// A terminal that gets its settings back when a signal ends the process, until this is dropped. One at a time.
#[derive(Debug)]
pub(crate) struct Settings(());

impl Settings {
    /// Remembers them as they are now. The descriptor must outlive this.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let fd = fd.as_raw_fd();
        // SAFETY: all zeroes is a valid termios.
        let mut before: libc::termios = unsafe { std::mem::zeroed() };
        // SAFETY: `before` is filled in.
        if unsafe { libc::tcgetattr(fd, &raw mut before) } != 0 {
            return Err(io::Error::last_os_error());
        }
        TERMINAL.store(
            Box::leak(Box::new(Terminal { fd, before })),
            Ordering::Release,
        );
        Ok(Self(()))
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        TERMINAL.store(ptr::null_mut(), Ordering::Release);
    }
}
