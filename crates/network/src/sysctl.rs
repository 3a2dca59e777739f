//! Kernel settings under /proc/sys/net, as the calling thread's network namespace sees them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};

/// Writes one setting, unless it has that value already (a read needs no right to write).
pub(crate) fn set(name: &str, value: &str) -> io::Result<()> {
    let path = format!("/proc/sys/net/{name}");
    if fs::read_to_string(&path).is_ok_and(|now| now.trim() == value) {
        return Ok(());
    }
    OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(value.as_bytes())
}

/// Writes one setting; a kernel built without it is as good.
pub(crate) fn set_if_present(name: &str, value: &str) -> io::Result<()> {
    match set(name, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
