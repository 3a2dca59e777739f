//! Signal masks and dispositions of a process with one thread.

use std::io;
use std::mem::MaybeUninit;

/// Highest signal number of the kernel.
pub const MAX: i32 = 64;

/// Names by number, without `SIG`, from 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// A signal's number from `9`, `KILL`, `SIGKILL`, `RTMIN+3`, in any case.
pub fn by_name(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return (1..=MAX).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(rest) = bare.strip_prefix("RTMIN") {
        let offset = if rest.is_empty() {
            0
        } else {
            rest.strip_prefix('+')?.parse::<i32>().ok()?
        };
        return (0..=30).contains(&offset).then_some(34 + offset);
    }
    if let Some(rest) = bare.strip_prefix("RTMAX") {
        let offset = if rest.is_empty() {
            0
        } else {
            rest.strip_prefix('-')?.parse::<i32>().ok()?
        };
        return (0..=30).contains(&offset).then_some(MAX - offset);
    }
    match bare {
        "IOT" => Some(6),
        "CLD" => Some(17),
        "POLL" => Some(29),
        _ => (1..)
            .zip(NAMES)
            .find(|(_, known)| *known == bare)
            .map(|(number, _)| number),
    }
}

/// Gives every signal its default disposition and blocks none: what a new program expects.
pub fn reset() {
    for signal in 1..=MAX {
        // SAFETY: the default disposition installs no code; the few signals that refuse it keep theirs.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: initialises `none`.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: `none` was initialised above.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()) };
}

/// Blocks all signals that can be blocked.
pub fn block_all() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: initialises `all`.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: `all` was initialised above.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut()) };
}

/// Ignores one signal.
pub fn ignore(signal: i32) {
    // SAFETY: ignoring installs no code.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Waits for the next of the blocked signals.
pub fn wait_any() -> io::Result<i32> {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: initialises `all`.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    loop {
        // SAFETY: `all` was initialised above; no details are asked for.
        let signal = unsafe { libc::sigwaitinfo(all.as_ptr(), std::ptr::null_mut()) };
        if signal > 0 {
            return Ok(signal);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::by_name;

    #[test]
    fn numbers_by_name() {
        for (name, number) in [
            ("9", 9),
            ("kill", 9),
            ("SIGTERM", 15),
            ("RTMIN+3", 37),
            ("SIGRTMAX", 64),
            ("RTMAX-1", 63),
        ] {
            assert_eq!(by_name(name), Some(number), "{name}");
        }
        for name in ["0", "65", "SIG", "RTMIN-1", "RTMIN+31", "nope", "-9"] {
            assert_eq!(by_name(name), None, "{name}");
        }
    }
}
