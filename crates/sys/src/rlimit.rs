//! Resource limits of this process.

use std::io;
use std::sync::OnceLock;

use crate::process::cvt;

/// The number of the limit of descriptors.
pub(crate) const NOFILE: u32 = libc::RLIMIT_NOFILE;
/// As many descriptors as any process needs; what a kernel allows unless told otherwise (`fs.nr_open`).
const MANY: u64 = 1 << 20;

/// The soft and the hard limit of descriptors before this process raised its own.
static GIVEN: OnceLock<(u64, u64)> = OnceLock::new();

/// Raises this process's own limit of descriptors, as far as it may. What it starts ([`crate::spawn`]) has the limit that it
/// was itself started with: programs that go through all possible descriptors would take long with another (as in Go's
/// runtime since 1.19).
pub fn raise_descriptors() -> io::Result<()> {
    let (soft, hard) = get(NOFILE)?;
    GIVEN.get_or_init(|| (soft, hard));
    let most = hard.max(MANY);
    set(NOFILE, most, most).map(drop)
}

/// What a program that is started gets back; `None`: nothing was raised.
pub(crate) fn given_descriptors() -> Option<libc::rlimit64> {
    let (soft, hard) = *GIVEN.get()?;
    Some(libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    })
}

/// Names (`RLIMIT_…`) by number.
const NAMES: [&str; 16] = [
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NPROC",
    "NOFILE",
    "MEMLOCK",
    "AS",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
];

/// The number of a limit by name, with or without `RLIMIT_`, in any case.
pub fn by_name(name: &str) -> Option<u32> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("RLIMIT_").unwrap_or(&upper);
    (0..)
        .zip(NAMES)
        .find(|(_, known)| *known == bare)
        .map(|(number, _)| number)
}

/// Sets a limit of this process. Without the right to raise the hard limit it is cut to what is possible; then
/// returns `false`.
pub fn set(number: u32, soft: u64, hard: u64) -> io::Result<bool> {
    match set_exactly(number, soft, hard) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            let (_, allowed) = get(number)?;
            let hard = hard.min(allowed);
            set_exactly(number, soft.min(hard), hard)?;
            Ok(false)
        }
        other => other.map(|()| true),
    }
}

fn set_exactly(number: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: a valid limit to read; nowhere to write the old one.
    cvt(unsafe { libc::prlimit64(0, number, &raw const limit, std::ptr::null_mut()) }.into())
        .map(drop)
}

/// Soft and hard limit of this process.
pub fn get(number: u32) -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a valid place for the result; no new limit.
    cvt(unsafe { libc::prlimit64(0, number, std::ptr::null(), &raw mut limit) }.into())?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_by_name() {
        assert_eq!(by_name("RLIMIT_NOFILE"), Some(7));
        assert_eq!(by_name("nofile"), Some(7));
        assert_eq!(by_name("x"), None);
        let (soft, hard) = get(7).unwrap();
        assert!(set(7, soft, hard).unwrap());
    }
}
