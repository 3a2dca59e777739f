//! Kernel settings under /proc/sys/net, as the calling thread's network namespace sees them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};

/// Writes one setting, unless it has that value already (a read needs no right to write).
pub(crate) fn set(name: &str, value: &str) -> io::Result<()> {
    if is(name, value) {
        return Ok(());
    }
    OpenOptions::new()
        .write(true)
        .open(path(name))?
        .write_all(value.as_bytes())
}

/// Whether a setting is there and has this value.
pub(crate) fn is(name: &str, value: &str) -> bool {
    fs::read_to_string(path(name)).is_ok_and(|now| now.trim() == value)
}

fn path(name: &str) -> String {
    format!("/proc/sys/net/{name}")
}

/// Writes one setting; a kernel built without it is as good.
pub(crate) fn set_if_present(name: &str, value: &str) -> io::Result<()> {
    match set(name, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
