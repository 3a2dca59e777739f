//! Terminals as their user has them: raw mode and back, window size, news of its change.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::termios::{
    OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use crate::leave::Settings;

/// Rows and columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Lines of text.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

/// Says whether a descriptor is a terminal.
pub fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    rustix::termios::isatty(fd)
}

/// The window's size.
pub fn size(fd: BorrowedFd<'_>) -> io::Result<Size> {
    let size = tcgetwinsize(fd)?;
    Ok(Size {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}

/// Sets the window's size; the programs in it get SIGWINCH when it differs.
pub fn set_size(fd: BorrowedFd<'_>, size: Size) -> io::Result<()> {
    Ok(tcsetwinsize(
        fd,
        Winsize {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )?)
}

/// Raw mode of a terminal, until dropped; also a signal that ends the command ends it ([`crate::leave`]).
#[derive(Debug)]
pub struct RawMode {
    _settings: Settings,
    fd: OwnedFd,
    before: Termios,
}

impl RawMode {
    /// Passes every key on as it is: no echo, no lines, no signals. Output keeps its post-processing off as well, as the
    /// terminal at the far end has done it.
    pub fn enter(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let fd = fd.try_clone_to_owned()?;
        let before = tcgetattr(&fd)?;
        let mut raw = before.clone();
        raw.make_raw();
        let settings = Settings::of(fd.as_fd())?;
        tcsetattr(&fd, OptionalActions::Flush, &raw)?;
        Ok(Self {
            _settings: settings,
            fd,
            before,
        })
    }

    /// Goes back to how the terminal was.
    pub fn restore(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.fd, OptionalActions::Drain, &self.before)?)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        drop(self.restore());
    }
}

/// A terminal that does not show what is typed, until dropped: for passwords.
#[derive(Debug)]
pub struct NoEcho(RawMode);

impl NoEcho {
    /// Lines and signals stay as they are.
    pub fn enter(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let fd = fd.try_clone_to_owned()?;
        let before = tcgetattr(&fd)?;
        let mut silent = before.clone();
        silent.local_modes.remove(rustix::termios::LocalModes::ECHO);
        let settings = Settings::of(fd.as_fd())?;
        tcsetattr(&fd, OptionalActions::Flush, &silent)?;
        Ok(Self(RawMode {
            _settings: settings,
            fd,
            before,
        }))
    }

    /// Goes back to how the terminal was.
    pub fn restore(&self) -> io::Result<()> {
        self.0.restore()
    }
}

/// The write end of the pipe that the signal handler rings; -1 before [`window_changes`].
static BELL: AtomicI32 = AtomicI32::new(-1);

extern "C" fn ring(_signal: libc::c_int) {
    // SAFETY: no arguments.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the interrupted thread's own errno, which nobody else uses before this handler returns.
    let errno = unsafe { &mut *errno };
    let before = *errno;
    // SAFETY: one byte to a non-blocking descriptor that is never closed; write is async-signal-safe.
    unsafe { libc::write(BELL.load(Ordering::Relaxed), c"!".as_ptr().cast(), 1) };
    *errno = before;
}

/// News of window size changes (SIGWINCH): a non-blocking descriptor that becomes readable at each. One a process.
pub fn window_changes() -> io::Result<OwnedFd> {
    let (reader, writer) = rustix::pipe::pipe_with(
        rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK,
    )?;
    let old: RawFd = BELL.swap(writer.into_raw_fd(), Ordering::Relaxed);
    if old >= 0 {
        // SAFETY: only this function puts descriptors there, and it has just taken this one out.
        drop(unsafe { OwnedFd::from_raw_fd(old) });
    }
    // SAFETY: all zeroes is a valid sigaction: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ring as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `ring` does nothing that a signal handler must not.
    if unsafe { libc::sigaction(libc::SIGWINCH, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(reader)
}

/// Takes all the news that have arrived.
pub fn drain(changes: BorrowedFd<'_>) {
    let mut buffer = [0_u8; 64];
    while matches!(rustix::io::read(changes, &mut buffer), Ok(1..)) {}
}

/// The number of a descriptor, for messages.
pub fn number(fd: impl AsFd) -> RawFd {
    fd.as_fd().as_raw_fd()
}

#[cfg(test)]
mod tests;
